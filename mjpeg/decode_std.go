package mjpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// stdDecoder uses image/jpeg, which allocates a whole picture each time. It stands in
// for kinds of JPEG that no camera makes, and tests compare the other decoder with it.
type stdDecoder struct {
	limits Limits
	r      bytes.Reader
	scaler pixfmt.Scaler
}

func newStdDecoder(l Limits) *stdDecoder { return &stdDecoder{limits: l} }

func (d *stdDecoder) Name() string { return "go (image/jpeg)" }

func (d *stdDecoder) Decode(dst, b []byte, format frame.FourCC) ([]byte, int, int, error) {
	return d.DecodeScaled(dst, b, format, 1)
}

func (d *stdDecoder) DecodeScaled(dst, b []byte, format frame.FourCC, scale int) ([]byte, int, int, error) {
	info, err := checkDecode(b, format, scale, d.limits)
	if err != nil {
		return nil, 0, 0, err
	}
	n := pixfmt.Size(format, info.Width, info.Height, 0)
	if scale > 1 {
		return d.shrink(dst, b, format, scale, n)
	}
	d.r.Reset(b)
	img, err := jpeg.Decode(&d.r)
	d.r.Reset(nil)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("decoding JPEG of %dx%d: %w", info.Width, info.Height, err)
	}
	if w, h := img.Bounds().Dx(), img.Bounds().Dy(); w != info.Width || h != info.Height {
		return nil, 0, 0, fmt.Errorf("decoding JPEG: %w: header says %dx%d, picture has %dx%d", ErrMalformed, info.Width, info.Height, w, h)
	}
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	out, err := pixfmt.View(format, info.Width, info.Height, 0, dst)
	if err == nil {
		err = d.convert(&out, img)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("decoding JPEG: %w", err)
	}
	return dst, info.Width, info.Height, nil
}

// shrink decodes at full size and scales down.
func (d *stdDecoder) shrink(dst, b []byte, format frame.FourCC, scale, n int) ([]byte, int, int, error) {
	full, w, h, err := d.DecodeScaled(make([]byte, n), b, format, 1)
	if err != nil {
		return nil, 0, 0, err
	}
	sw, sh := Scaled(w, scale), Scaled(h, scale)
	if n := pixfmt.Size(format, sw, sh, 0); cap(dst) < n {
		dst = make([]byte, n)
	} else {
		dst = dst[:n]
	}
	from, err := pixfmt.View(format, w, h, 0, full)
	if err != nil {
		return nil, 0, 0, err
	}
	to, err := pixfmt.View(format, sw, sh, 0, dst)
	if err == nil {
		err = d.scaler.Scale(&to, &from)
	}
	return dst, sw, sh, err
}

func (d *stdDecoder) convert(out *pixfmt.Image, img image.Image) error {
	w, h := out.Width, out.Height
	in := pixfmt.Image{Width: w, Height: h}
	switch p := img.(type) {
	case *image.Gray:
		in.Format = frame.GREY
		in.Planes[0], in.Strides[0] = p.Pix, p.Stride
	case *image.YCbCr:
		in.Planes[0], in.Strides[0] = p.Y, p.YStride
		switch {
		case out.Format == frame.GREY:
			in.Format = frame.GREY
		case p.SubsampleRatio == image.YCbCrSubsampleRatio420:
			in.Format = frame.I420
			in.Planes[1], in.Strides[1] = p.Cb, p.CStride
			in.Planes[2], in.Strides[2] = p.Cr, p.CStride
		case out.Format == frame.I420:
			g := in
			g.Format = frame.GREY
			y := *out
			y.Format = frame.GREY
			if err := pixfmt.Convert(&y, &g); err != nil {
				return err
			}
			resampleChroma(out, p)
			return nil
		default:
			chromaToRGB(out, p)
			return nil
		}
	default: // CMYK, or components that are RGB already: no camera does that
		rgb := make([]byte, 3*w*h)
		rgba := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.Draw(rgba, rgba.Bounds(), img, img.Bounds().Min, draw.Src)
		for i := 0; i < w*h; i++ {
			copy(rgb[3*i:3*i+3], rgba.Pix[4*i:])
		}
		in.Format = frame.RGB24
		in.Planes[0], in.Strides[0] = rgb, 3*w
	}
	return pixfmt.Convert(out, &in)
}

// resampleChroma makes 4:2:0 of another chroma format: the mean of what each
// chroma sample covers.
func resampleChroma(out *pixfmt.Image, p *image.YCbCr) {
	w, h := out.Width, out.Height
	b := p.Rect.Min
	for cy := range (h + 1) / 2 {
		y0, y1 := 2*cy, min(2*cy+1, h-1)
		u, v := out.Planes[1][cy*out.Strides[1]:], out.Planes[2][cy*out.Strides[2]:]
		for cx := range (w + 1) / 2 {
			x0, x1 := 2*cx, min(2*cx+1, w-1)
			i, j := p.COffset(b.X+x0, b.Y+y0), p.COffset(b.X+x1, b.Y+y0)
			k, l := p.COffset(b.X+x0, b.Y+y1), p.COffset(b.X+x1, b.Y+y1)
			u[cx] = byte((int(p.Cb[i]) + int(p.Cb[j]) + int(p.Cb[k]) + int(p.Cb[l]) + 2) / 4)
			v[cx] = byte((int(p.Cr[i]) + int(p.Cr[j]) + int(p.Cr[k]) + int(p.Cr[l]) + 2) / 4)
		}
	}
}

// chromaToRGB converts chroma formats other than 4:2:0 without thinning them out.
func chromaToRGB(out *pixfmt.Image, p *image.YCbCr) {
	b := p.Rect.Min
	r, bl := 0, 2
	if out.Format == frame.BGR24 {
		r, bl = 2, 0
	}
	for y := range out.Height {
		row := out.Planes[0][y*out.Strides[0]:]
		for x := range out.Width {
			c := p.YCbCrAt(b.X+x, b.Y+y)
			row[3*x+r], row[3*x+1], row[3*x+bl] = color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
		}
	}
}

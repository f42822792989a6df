package mjpeg

import (
	"errors"
	"fmt"

	"framepipe/frame"
	"framepipe/mjpeg/internal/turbojpeg"
	"framepipe/pixfmt"
)

// turboEncoder lets libjpeg-turbo compress; what it cannot read becomes I420 first.
// Planes of odd size are left to our own encoder: the library takes rows of an even
// number of samples, one more than there are.
type turboEncoder struct {
	enc     *turbojpeg.Encoder
	plain   *goEncoder
	scratch []byte // the picture as I420, where it was something else
	out     []byte
}

func newTurboEncoder() (*turboEncoder, error) {
	enc, err := turbojpeg.NewEncoder()
	return &turboEncoder{enc: enc, plain: newGoEncoder()}, err
}

func (e *turboEncoder) Name() string { return "libjpeg-turbo" }

func (e *turboEncoder) Encode(dst []byte, f *frame.Frame, quality int) ([]byte, error) {
	m, err := pixfmt.FrameView(f)
	if err != nil {
		return nil, fmt.Errorf("encoding JPEG: %w", err)
	}
	quality = min(max(quality, 1), 100)
	// The library wants room for the worst case, some ten times what it then writes: that
	// would make every frame's buffer so large.
	if n := turbojpeg.Size(m.Width, m.Height, turbojpeg.Sampling420); len(e.out) < n {
		e.out = make([]byte, n)
	}
	out, n := e.out, 0
	switch m.Format {
	case frame.GREY:
		n, err = e.enc.Pixels(out, m.Planes[0], m.Strides[0], m.Width, m.Height, turbojpeg.Grey, turbojpeg.SamplingGrey, quality)
	case frame.RGB24:
		n, err = e.enc.Pixels(out, m.Planes[0], m.Strides[0], m.Width, m.Height, turbojpeg.RGB, turbojpeg.Sampling420, quality)
	case frame.BGR24:
		n, err = e.enc.Pixels(out, m.Planes[0], m.Strides[0], m.Width, m.Height, turbojpeg.BGR, turbojpeg.Sampling420, quality)
	default:
		if (m.Width|m.Height)&1 != 0 {
			return e.plain.Encode(dst, f, quality)
		}
		if m.Format != frame.I420 {
			if m, err = e.asI420(&m); err != nil {
				return nil, fmt.Errorf("encoding JPEG: %w", err)
			}
		}
		n, err = e.enc.Planes(out, &m.Planes, &m.Strides, m.Width, m.Height, turbojpeg.Sampling420, quality)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding JPEG: %w", err)
	}
	return append(dst[:0], out[:n]...), nil
}

func (e *turboEncoder) asI420(m *pixfmt.Image) (pixfmt.Image, error) {
	n := pixfmt.Size(frame.I420, m.Width, m.Height, 0)
	if cap(e.scratch) < n {
		e.scratch = make([]byte, n)
	}
	c, err := pixfmt.View(frame.I420, m.Width, m.Height, 0, e.scratch[:n])
	if err == nil {
		err = pixfmt.Convert(&c, m)
	}
	return c, err
}

// turboDecoder lets libjpeg-turbo decompress. Whatever it finds wrong with a picture,
// the Go decoder judges: so both forgive the same.
type turboDecoder struct {
	dec   *turbojpeg.Decoder
	plain *goDecoder
}

func newTurboDecoder(l Limits) (*turboDecoder, error) {
	dec, err := turbojpeg.NewDecoder()
	return &turboDecoder{dec: dec, plain: newGoDecoder(l)}, err
}

func (d *turboDecoder) Name() string { return "libjpeg-turbo" }

func (d *turboDecoder) Decode(dst, b []byte, format frame.FourCC) ([]byte, int, int, error) {
	return d.DecodeScaled(dst, b, format, 1)
}

func (d *turboDecoder) DecodeScaled(dst, b []byte, format frame.FourCC, scale int) ([]byte, int, int, error) {
	info, err := checkDecode(b, format, scale, d.plain.limits)
	if err != nil {
		return nil, 0, 0, err
	}
	w, h := Scaled(info.Width, scale), Scaled(info.Height, scale)
	if scale > 1 && min(info.Width, info.Height) < 16 { // the library finds the scale by the size, which is ambiguous then
		return d.plain.DecodeScaled(dst, b, format, scale)
	}
	if n := pixfmt.Size(format, w, h, 0); cap(dst) < n {
		dst = make([]byte, n)
	} else {
		dst = dst[:n]
	}
	m, err := pixfmt.View(format, w, h, 0, dst)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("decoding JPEG: %w", err)
	}
	switch format {
	case frame.RGB24:
		err = d.dec.Pixels(dst, b, w, m.Strides[0], h, turbojpeg.RGB, false)
	case frame.BGR24:
		err = d.dec.Pixels(dst, b, w, m.Strides[0], h, turbojpeg.BGR, false)
	case frame.GREY:
		err = d.dec.Pixels(dst, b, w, m.Strides[0], h, turbojpeg.Grey, false)
	default:
		if info.Components != 3 || info.H != 2 || info.V != 2 || (info.Width|info.Height)&(2*scale-1) != 0 {
			err = errOtherPlanes
		} else {
			err = d.dec.Planes(&m.Planes, &m.Strides, b, w, h)
		}
	}
	if err != nil {
		return d.plain.DecodeScaled(dst, b, format, scale)
	}
	return dst, w, h, nil
}

var errOtherPlanes = errors.New("the library would give planes of another shape")

package pixfmt

import (
	"fmt"

	"framepipe/frame"
)

// Convertible reports whether Convert can make to from from.
func Convertible(to, from frame.FourCC) bool {
	if shapeOf(from) == nil {
		return false
	}
	switch to {
	case frame.I420, frame.RGB24, frame.BGR24, frame.GREY:
		return true
	case frame.NV12, frame.YUYV, frame.UYVY:
		return from == frame.I420 || from == to
	}
	return false
}

// Convert fills dst with the picture of src, which has the same size. Anything
// becomes I420, RGB24, BGR24 or GREY; the other formats are made of I420 only.
func Convert(dst, src *Image) error {
	if dst.Width != src.Width || dst.Height != src.Height {
		return fmt.Errorf("%w: converting %dx%d to %dx%d", ErrSize, src.Width, src.Height, dst.Width, dst.Height)
	}
	if !Convertible(dst.Format, src.Format) {
		return fmt.Errorf("%w: %s to %s", ErrUnsupported, src.Format, dst.Format)
	}
	if err := src.check(); err != nil {
		return err
	}
	if err := dst.check(); err != nil {
		return err
	}
	switch {
	case dst.Format == src.Format:
		for i, s := range shapeOf(src.Format) {
			copyPlane(dst, src, i, s.rowBytes(src.Width), s.rows(src.Height))
		}
	case dst.Format == frame.GREY:
		toGrey(dst, src)
	case dst.Format == frame.I420:
		toI420(dst, src)
	case isRGB(dst.Format):
		toRGB(dst, src)
	default:
		fromI420(dst, src)
	}
	return nil
}

func copyPlane(dst, src *Image, plane, n, rows int) {
	if dst.Strides[plane] == n && src.Strides[plane] == n {
		copy(dst.Planes[plane][:n*rows], src.Planes[plane])
		return
	}
	for y := range rows {
		copy(dst.row(plane, y, n), src.row(plane, y, n))
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func toGrey(dst, src *Image) {
	w := src.Width
	switch src.Format {
	case frame.I420, frame.NV12:
		copyPlane(dst, src, 0, w, src.Height)
	case frame.YUYV, frame.UYVY:
		for y := range src.Height {
			lumaOfPacked(dst.row(0, y, w), src.row(0, y, 4*half(w)), src.Format == frame.UYVY)
		}
	case frame.RGB24, frame.BGR24:
		k := orderOf(src.Format)
		for y := range src.Height {
			lumaOfRGB(dst.row(0, y, w), src.row(0, y, 3*w), k)
		}
	}
}

func toI420(dst, src *Image) {
	w, h := src.Width, src.Height
	cw, ch := half(w), half(h)
	switch src.Format {
	case frame.NV12:
		copyPlane(dst, src, 0, w, h)
		for y := range ch {
			splitUV(dst.row(1, y, cw), dst.row(2, y, cw), src.row(1, y, 2*cw))
		}
	case frame.GREY:
		copyPlane(dst, src, 0, w, h)
		for y := range ch {
			fill(dst.row(1, y, cw), 128)
			fill(dst.row(2, y, cw), 128)
		}
	case frame.YUYV, frame.UYVY:
		uyvy := src.Format == frame.UYVY
		for y := range ch {
			y0, y1 := 2*y, min(2*y+1, h-1)
			a, b := src.row(0, y0, 4*cw), src.row(0, y1, 4*cw)
			lumaOfPacked(dst.row(0, y0, w), a, uyvy)
			if y1 != y0 {
				lumaOfPacked(dst.row(0, y1, w), b, uyvy)
			}
			chromaOfPacked(dst.row(1, y, cw), dst.row(2, y, cw), a, b, uyvy)
		}
	case frame.RGB24, frame.BGR24:
		k := orderOf(src.Format)
		for y := range ch {
			y0, y1 := 2*y, min(2*y+1, h-1)
			a, b := src.row(0, y0, 3*w), src.row(0, y1, 3*w)
			lumaOfRGB(dst.row(0, y0, w), a, k)
			if y1 != y0 {
				lumaOfRGB(dst.row(0, y1, w), b, k)
			}
			chromaOfRGB(dst.row(1, y, cw), dst.row(2, y, cw), a, b, k)
		}
	}
}

func toRGB(dst, src *Image) {
	w, h := src.Width, src.Height
	cw := half(w)
	m := mixOf(dst.Format)
	for y := range h {
		d := dst.row(0, y, 3*w)
		switch src.Format {
		case frame.I420:
			planarToRGB(d, src.row(0, y, w), src.row(1, y/2, cw), src.row(2, y/2, cw), m)
		case frame.NV12:
			nv12ToRGB(d, src.row(0, y, w), src.row(1, y/2, 2*cw), m)
		case frame.YUYV:
			packedToRGB(d, src.row(0, y, 4*cw), w, 0, m)
		case frame.UYVY:
			packedToRGB(d, src.row(0, y, 4*cw), w, 1, m)
		case frame.GREY:
			for x, v := range src.row(0, y, w) {
				p := d[3*x : 3*x+3 : 3*x+3]
				p[0], p[1], p[2] = v, v, v
			}
		case frame.RGB24, frame.BGR24: // the other order
			s := src.row(0, y, 3*w)
			for x := 0; x+3 <= len(s) && x+3 <= len(d); x += 3 {
				d[x], d[x+1], d[x+2] = s[x+2], s[x+1], s[x]
			}
		}
	}
}

func isRGB(f frame.FourCC) bool { return f == frame.RGB24 || f == frame.BGR24 }

// fromI420 makes the formats that cameras give and few viewers want.
func fromI420(dst, src *Image) {
	w, h := src.Width, src.Height
	cw := half(w)
	if dst.Format == frame.NV12 {
		copyPlane(dst, src, 0, w, h)
		for y := range half(h) {
			mergeUV(dst.row(1, y, 2*cw), src.row(1, y, cw), src.row(2, y, cw))
		}
		return
	}
	for y := range h {
		pack(dst.row(0, y, 4*cw), src.row(0, y, w), src.row(1, y/2, cw), src.row(2, y/2, cw), dst.Format == frame.UYVY)
	}
}

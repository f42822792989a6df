package pixfmt

import "fmt"

// Oriented is the size of a picture after a rotation.
func Oriented(width, height, rotate int) (w, h int) {
	if rotate == 90 || rotate == 270 {
		return height, width
	}
	return width, height
}

// Orient fills dst with src rotated clockwise by 0, 90, 180 or 270 degrees and
// then mirrored left to right (flipH) and top to bottom (flipV), as the viewer
// sees them. The packed 4:2:2 formats are not turned: make them I420 first. In
// pictures of odd size with thinned-out chroma, mirroring moves the chroma by
// half of its grid, as everywhere.
func Orient(dst, src *Image, rotate int, flipH, flipV bool) error {
	if rotate != 0 && rotate != 90 && rotate != 180 && rotate != 270 {
		return fmt.Errorf("%w: rotation by %d degrees", ErrUnsupported, rotate)
	}
	if dst.Format != src.Format || shapeOf(src.Format) == nil || shapeOf(src.Format)[0].unit == 4 {
		return fmt.Errorf("%w: turning %s into %s", ErrUnsupported, src.Format, dst.Format)
	}
	if w, h := Oriented(src.Width, src.Height, rotate); w != dst.Width || h != dst.Height {
		return fmt.Errorf("%w: %dx%d rotated by %d is not %dx%d", ErrSize, src.Width, src.Height, rotate, dst.Width, dst.Height)
	}
	if err := src.check(); err != nil {
		return err
	}
	if err := dst.check(); err != nil {
		return err
	}
	for i, p := range shapeOf(src.Format) {
		w, h := p.cols(dst.Width), p.rows(dst.Height)
		// Source offset of destination pixel (x, y): o + x*dx + y*dy.
		sw, sh, st := p.cols(src.Width), p.rows(src.Height), src.Strides[i]
		var o, dx, dy int
		switch rotate {
		case 0:
			o, dx, dy = 0, p.unit, st
		case 90:
			o, dx, dy = (sh-1)*st, -st, p.unit
		case 180:
			o, dx, dy = (sh-1)*st+(sw-1)*p.unit, -p.unit, -st
		case 270:
			o, dx, dy = (sw-1)*p.unit, st, -p.unit
		}
		if flipH {
			o, dx = o+(w-1)*dx, -dx
		}
		if flipV {
			o, dy = o+(h-1)*dy, -dy
		}
		for y := range h {
			turnRow(dst.row(i, y, w*p.unit), src.Planes[i], o+y*dy, dx, p.unit)
		}
	}
	return nil
}

func turnRow(d, s []byte, o, dx, unit int) {
	switch {
	case dx == unit:
		copy(d, s[o:o+len(d)])
	case unit == 1:
		for x := range d {
			d[x] = s[o]
			o += dx
		}
	case unit == 2:
		for ; len(d) >= 2; d = d[2:] {
			q := s[o : o+2 : o+2]
			d[0], d[1] = q[0], q[1]
			o += dx
		}
	default:
		for ; len(d) >= 3; d = d[3:] {
			q := s[o : o+3 : o+3]
			d[0], d[1], d[2] = q[0], q[1], q[2]
			o += dx
		}
	}
}

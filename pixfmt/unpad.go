package pixfmt

import (
	"fmt"

	"framepipe/frame"
)

// PaddedSize is the size that picamera rounds raw captures up to: the width to a
// multiple of 32 pixels, the height to one of 16 (picamera 1.13, chapter
// "Unencoded image capture").
func PaddedSize(width, height int) (w, h int) { return (width + 31) &^ 31, (height + 15) &^ 15 }

// Padded tells from its length whether a frame without any description is the
// tight picture of this size or the one that picamera pads, or neither.
func Padded(f frame.FourCC, width, height, length int) (padded, ok bool) {
	if n := Size(f, width, height, 0); n == 0 {
		return false, false
	} else if length == n {
		return false, true
	}
	pw, ph := PaddedSize(width, height)
	n := Size(f, pw, ph, 0)
	return true, n != 0 && length == n
}

// Unpad gives the tight picture of this size from a frame of which only the
// length is known. A frame that is tight already is returned as it is; the rows
// of a padded one are moved together into dst, which may be src itself or have
// too little capacity (then it is allocated).
func Unpad(dst, src []byte, f frame.FourCC, width, height int) (out []byte, padded bool, err error) {
	padded, ok := Padded(f, width, height, len(src))
	if !ok {
		pw, ph := PaddedSize(width, height)
		return nil, false, fmt.Errorf("%w: %d bytes are not a %s picture of %dx%d (%d bytes, or %d when padded to %dx%d)", ErrSize,
			len(src), f, width, height, Size(f, width, height, 0), Size(f, pw, ph, 0), pw, ph)
	}
	if !padded {
		return src, false, nil
	}
	pw, ph := PaddedSize(width, height)
	from, err := ViewPadded(f, width, height, Stride(f, pw), ph, src)
	if err != nil {
		return nil, true, err
	}
	out, err = Tighten(dst, &from)
	return out, true, err
}

// Tighten moves the rows of a picture together into dst (allocated if it has too
// little capacity). Dst may be the memory that m lies in, starting where m starts.
func Tighten(dst []byte, m *Image) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	n := Size(m.Format, m.Width, m.Height, 0)
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	// Every row moves towards the beginning or stays, and rows are taken in the
	// order they lie in, so nothing is overwritten that is still needed.
	o := 0
	for i, s := range shapeOf(m.Format) {
		rb := s.rowBytes(m.Width)
		step := rb
		if i == 0 {
			step = Stride(m.Format, m.Width) // NV12 of odd width has a byte between its rows of luma
		}
		if m.Strides[i] == step {
			o += copy(dst[o:], m.Planes[i][:min(len(m.Planes[i]), step*s.rows(m.Height))])
			continue
		}
		for y := range s.rows(m.Height) {
			copy(dst[o:], m.row(i, y, rb))
			o += step
		}
	}
	return dst, nil
}

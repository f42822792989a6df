package pixfmt

import (
	"fmt"
	"math"
)

// Scaler changes the size of pictures by averaging the area that each new pixel
// covers, weighted exactly. It keeps its working rows from one picture to the
// next; the zero value is ready. Not for concurrent use.
type Scaler struct {
	row []uint32 // one source row, gathered into columns of the destination
	acc []uint64 // rows gathered so far
}

// Scale fills dst, which has another size than src but the same format. The
// packed 4:2:2 formats are not scaled: make them I420 first.
func (s *Scaler) Scale(dst, src *Image) error {
	if dst.Format != src.Format || shapeOf(src.Format) == nil || shapeOf(src.Format)[0].unit == 4 {
		return fmt.Errorf("%w: scaling %s to %s", ErrUnsupported, src.Format, dst.Format)
	}
	if err := src.check(); err != nil {
		return err
	}
	if err := dst.check(); err != nil {
		return err
	}
	if int64(src.Width)*int64(dst.Width) > math.MaxInt32 || int64(src.Height)*int64(dst.Height) > math.MaxInt32 {
		return fmt.Errorf("%w: scaling %dx%d to %dx%d", ErrSize, src.Width, src.Height, dst.Width, dst.Height)
	}
	for i, p := range shapeOf(src.Format) {
		s.plane(dst, src, i, p)
	}
	return nil
}

func (s *Scaler) plane(dst, src *Image, i int, p shape) {
	sw, sh := p.cols(src.Width), p.rows(src.Height)
	dw, dh := p.cols(dst.Width), p.rows(dst.Height)
	if sw == dw && sh == dh {
		copyPlane(dst, src, i, p.unit*sw, sh)
		return
	}
	n := dw * p.unit
	if cap(s.row) < n {
		s.row, s.acc = make([]uint32, n), make([]uint64, n)
	}
	row, acc := s.row[:n], s.acc[:n]
	// In units of 1/dh of a source row, source row y is [y*dh, y*dh+dh) and
	// destination row d is [d*sh, d*sh+sh). Columns alike.
	area := uint64(sw) * uint64(sh)
	y, gathered := 0, -1
	for d := range dh {
		clear(acc)
		from, to := d*sh, (d+1)*sh
		for y = from / dh; y*dh < to; y++ {
			if gathered != y {
				gather(row, src.row(i, y, sw*p.unit), p.unit, sw, dw)
				gathered = y
			}
			weight := uint64(min(to, (y+1)*dh) - max(from, y*dh))
			for x, v := range row {
				acc[x] += uint64(v) * weight
			}
		}
		out := dst.row(i, d, n)
		for x := range out {
			out[x] = byte((acc[x] + area/2) / area)
		}
	}
}

// gather sums up, for each destination column, the part of the source row that
// it covers, in units of 1/dw of a source pixel: at most 255*sw, 24 bits.
func gather(row []uint32, src []byte, unit, sw, dw int) {
	if dw*2 == sw { // halving is common, and needs no weights
		for c := range unit {
			for x, o := c, c; x < len(row) && o+unit < len(src); x, o = x+unit, o+2*unit {
				row[x] = (uint32(src[o]) + uint32(src[o+unit])) * uint32(dw)
			}
		}
		return
	}
	for d := range dw {
		from, to := d*sw, (d+1)*sw
		for c := range unit {
			sum := uint32(0)
			for x := from / dw; x*dw < to; x++ {
				sum += uint32(src[x*unit+c]) * uint32(min(to, (x+1)*dw)-max(from, x*dw))
			}
			row[d*unit+c] = sum
		}
	}
}

package mjpeg

import (
	"slices"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// slice encodes some rows of MCUs.
type slice struct {
	*scratch      // of the worker that has it in hand; its own, where something has to stay
	own           scratch
	e             *goEncoder
	l             *layout
	first, last   int // rows of MCUs
	every         int // rows between restart markers
	transformOnly bool
	keep          bool // the coefficients of all rows, for another pass
	w             bitWriter
	counts        [4][256]uint32
}

// scratch is what a row of MCUs needs while it is in work. It belongs to the worker and
// not to the slice, so that it stays in that core's cache.
type scratch struct {
	strip []byte // the samples of a row of MCUs, where they cannot be read in place
	from  [3]rowSource
	coef  [][64]int16 // zigzag order: luma's rows of blocks, then Cb, Cr
	mask  []uint64    // a bit for each coefficient that is not 0
}

// worker takes slices until none is left: with more slices than workers, one that was
// woken late or was interrupted delays the picture by the length of a slice at most.
type worker struct {
	scratch
	e          *goEncoder
	background func()
}

// rowSource is where the samples of one component's row of blocks begin.
type rowSource struct {
	p      []byte
	stride int
}

func newWorker(e *goEncoder) *worker {
	w := &worker{e: e}
	w.background = func() { // made once, so that starting it allocates nothing
		w.work()
		w.e.group.Done()
	}
	return w
}

func (w *worker) work() {
	for {
		i := int(w.e.next.Add(1)) - 1
		if i >= len(w.e.used) {
			break
		}
		s := w.e.used[i]
		if s.scratch = &w.scratch; s.keep {
			s.scratch = &s.own
		}
		if s.transformOnly {
			s.transform()
		} else {
			s.encode()
		}
	}
}

func (s *slice) blocksPerRow() int {
	n := s.l.mcuX * s.l.hMax * s.l.vMax
	if s.l.n == 3 {
		n += 2 * s.l.mcuX
	}
	return n
}

func (s *slice) reserve(rows int) {
	n := s.blocksPerRow() * rows
	if cap(s.coef) < n {
		s.coef, s.mask = make([][64]int16, n), make([]uint64, n)
	}
	s.coef, s.mask = s.coef[:n], s.mask[:n]
}

// transform prepares all rows and counts their symbols.
func (s *slice) transform() {
	s.reserve(s.last - s.first)
	clear(s.counts[:])
	n := s.blocksPerRow()
	var dc [3]int32
	for y := s.first; y < s.last; y++ {
		if (y-s.first)%s.every == 0 {
			dc = [3]int32{}
		}
		o := (y - s.first) * n
		s.row(y, s.coef[o:o+n], s.mask[o:o+n])
		s.count(s.coef[o:o+n], s.mask[o:o+n], &dc)
	}
}

func (s *slice) encode() {
	n := s.blocksPerRow()
	if !s.keep {
		s.reserve(1)
	}
	var dc [3]int32
	rst := byte(0)
	for y := s.first; y < s.last; y++ {
		if i := y - s.first; i > 0 && i%s.every == 0 {
			s.w.finish()
			s.w.marker(mRST0 + rst)
			rst = (rst + 1) & 7
			dc = [3]int32{}
		}
		coef, mask := s.coef, s.mask
		if s.keep {
			o := (y - s.first) * n
			coef, mask = coef[o:o+n], mask[o:o+n]
		} else {
			s.row(y, coef, mask)
		}
		s.code(coef, mask, &dc)
	}
	s.w.finish()
}

// row transforms the blocks of one row of MCUs.
func (s *slice) row(y int, coef [][64]int16, mask []uint64) {
	l := s.l
	s.load(y)
	n := l.mcuX * l.hMax
	for v := range l.vMax {
		src := &s.from[0]
		forward(coef[v*n:(v+1)*n], mask[v*n:(v+1)*n], src.p[8*v*src.stride:], src.stride, &s.e.scale[0])
	}
	if l.n == 1 {
		return
	}
	o := n * l.vMax
	for c := 1; c < 3; c++ {
		forward(coef[o:o+l.mcuX], mask[o:o+l.mcuX], s.from[c].p, s.from[c].stride, &s.e.scale[1])
		o += l.mcuX
	}
}

// load finds or makes the samples of one row of MCUs.
func (s *slice) load(y int) {
	l, m := s.l, &s.l.src
	y0 := 8 * l.vMax * y
	rows := min(8*l.vMax, m.Height-y0)
	lumaW, chromaW := 8*l.hMax*l.mcuX, 8*l.mcuX
	whole := rows == 8*l.vMax && lumaW == m.Width
	if whole && (m.Format == frame.I420 || m.Format == frame.GREY) {
		s.from[0] = rowSource{m.Planes[0][y0*m.Strides[0]:], m.Strides[0]}
		for c := 1; c < l.n; c++ {
			s.from[c] = rowSource{m.Planes[c][y0/2*m.Strides[c]:], m.Strides[c]}
		}
		return
	}
	n := lumaW * 8 * l.vMax
	need := n
	if l.n == 3 {
		need += 2 * 8 * chromaW
	}
	if cap(s.strip) < need {
		s.strip = slices.Grow(s.strip[:0], need)
	}
	b := s.strip[:need]
	part := pixfmt.Image{Format: frame.I420, Width: m.Width, Height: rows}
	part.Planes[0], part.Strides[0] = b[:n], lumaW
	s.from[0] = rowSource{b, lumaW}
	for c := 1; c < l.n; c++ {
		o := n + (c-1)*8*chromaW
		part.Planes[c], part.Strides[c] = b[o:o+8*chromaW], chromaW
		s.from[c] = rowSource{b[o:], chromaW}
	}
	from := *m
	from.Height = rows
	for i := range from.Planes {
		switch {
		case from.Planes[i] == nil:
		case i == 0:
			from.Planes[0] = m.Planes[0][y0*m.Strides[0]:]
		default:
			from.Planes[i] = m.Planes[i][y0/2*m.Strides[i]:]
		}
	}
	chromaRows := (rows + 1) / 2
	switch {
	case l.n == 1:
		part.Format, part.Planes[1], part.Planes[2] = frame.GREY, nil, nil
		fallthrough
	case l.vMax == 2:
		if whole && m.Format == frame.NV12 { // its luma can stay where it is
			pixfmt.SplitChroma(&part, &from)
			s.from[0] = rowSource{from.Planes[0], from.Strides[0]}
			return
		}
		if err := pixfmt.Convert(&part, &from); err != nil {
			panic(err) // the whole picture was checked
		}
	default: // 4:2:2
		chromaRows = rows
		for r := range rows {
			pixfmt.Split422(b[r*lumaW:][:m.Width], part.Planes[1][r*chromaW:][:(m.Width+1)/2], part.Planes[2][r*chromaW:][:(m.Width+1)/2],
				from.Planes[0][r*from.Strides[0]:], m.Format)
		}
	}
	extend8(part.Planes[0], lumaW, m.Width, rows, 8*l.vMax)
	if l.n == 3 {
		extend8(part.Planes[1], chromaW, (m.Width+1)/2, chromaRows, 8)
		extend8(part.Planes[2], chromaW, (m.Width+1)/2, chromaRows, 8)
	}
}

// extend8 repeats the last sample of each row, and the last row.
func extend8(p []byte, stride, w, rows, all int) {
	if w < stride {
		for r := range rows {
			row := p[r*stride : (r+1)*stride]
			fillRow(row[w:], row[w-1])
		}
	}
	last := p[(rows-1)*stride : rows*stride]
	for r := rows; r < all; r++ {
		copy(p[r*stride:(r+1)*stride], last)
	}
}

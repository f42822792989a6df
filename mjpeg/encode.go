package mjpeg

import (
	"fmt"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// goEncoder writes baseline JPEGs of 4:2:0 or grey pictures with the typical
// Huffman tables (ITU-T T.81 annex K), reading the planes where they lie. It gives
// the same pictures as image/jpeg's encoder but for rounding, in about a third of
// the time, and allocates nothing once its buffers have grown.
type goEncoder struct {
	quality int // of the tables below; 0 = none yet
	quant   [2][64]byte
	scale   [2][64]float32 // reciprocals, in natural order, for the scaled DCT
	w       bitWriter
	scratch []byte // the picture as I420, where it was something else
	block   [64]float32
}

func newGoEncoder() *goEncoder { return &goEncoder{} }

func (e *goEncoder) Name() string { return "go" }

func (e *goEncoder) Encode(dst []byte, f *frame.Frame, quality int) ([]byte, error) {
	m, err := pixfmt.FrameView(f)
	if err == nil && m.Format != frame.I420 && m.Format != frame.GREY {
		m, err = e.asI420(&m)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding JPEG: %w", err)
	}
	e.setQuality(min(max(quality, 1), 100))
	e.w = bitWriter{b: e.header(dst[:0], &m)}
	if m.Format == frame.GREY {
		e.grey(&m)
	} else {
		e.i420(&m)
	}
	e.w.finish()
	b := append(e.w.b, 0xff, mEOI)
	e.w.b = nil
	return b, nil
}

func (e *goEncoder) asI420(m *pixfmt.Image) (pixfmt.Image, error) {
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

func (e *goEncoder) grey(m *pixfmt.Image) {
	dc := int32(0)
	for y := 0; y < m.Height; y += 8 {
		for x := 0; x < m.Width; x += 8 {
			dc = e.one(m.Planes[0], m.Strides[0], x, y, m.Width, m.Height, 0, dc)
		}
	}
}

func (e *goEncoder) i420(m *pixfmt.Image) {
	var dc [3]int32
	cw, ch := (m.Width+1)/2, (m.Height+1)/2
	for y := 0; y < m.Height; y += 16 {
		for x := 0; x < m.Width; x += 16 {
			for i := range 4 {
				dc[0] = e.one(m.Planes[0], m.Strides[0], x+8*(i&1), y+8*(i>>1), m.Width, m.Height, 0, dc[0])
			}
			dc[1] = e.one(m.Planes[1], m.Strides[1], x/2, y/2, cw, ch, 1, dc[1])
			dc[2] = e.one(m.Planes[2], m.Strides[2], x/2, y/2, cw, ch, 1, dc[2])
		}
	}
}

// one encodes the block at x, y of a plane of w by h samples with table t; what
// lies outside repeats the edge. It returns the block's quantised DC value.
func (e *goEncoder) one(p []byte, stride, x, y, w, h, t int, dc int32) int32 {
	b := &e.block
	if x+8 <= w && y+8 <= h {
		for r := range 8 {
			s := p[(y+r)*stride+x:]
			s = s[:8]
			d := b[r*8 : r*8+8 : r*8+8]
			for i, v := range s {
				d[i] = float32(int32(v) - 128)
			}
		}
	} else {
		for r := range 8 {
			row := p[min(y+r, h-1)*stride:]
			for i := range 8 {
				b[r*8+i] = float32(int32(row[min(x+i, w-1)]) - 128)
			}
		}
	}
	var q [64]int32
	mask := e.quantise(&q, t)
	e.w.coefficients(&q, mask&^1, dc, &dcCodes[t], &acCodes[t])
	return q[0]
}

// quantise transforms the block and rounds it to table t's steps, in zigzag order.
// The mask has a bit for each value that is not 0.
func (e *goEncoder) quantise(q *[64]int32, t int) (mask uint64) {
	b, sc := &e.block, &e.scale[t]
	fdct(b)
	for k := range 64 {
		n := zigzag[k] & 63
		// Rounding half up, by a detour through positive numbers.
		v := int32(float32(b[n]*sc[n])+16384.5) - 16384
		q[k] = v
		mask |= uint64(uint32(v|-v)>>31) << k
	}
	return mask
}

// setQuality makes the quantisation tables as libjpeg does.
func (e *goEncoder) setQuality(q int) {
	if q == e.quality {
		return
	}
	e.quality = q
	s := 200 - 2*q
	if q < 50 {
		s = 5000 / q
	}
	for t := range e.quant {
		for k := range 64 {
			v := min(max((int(typicalQuant[t][k])*s+50)/100, 1), 255)
			e.quant[t][k] = byte(v)
			n := zigzag[k]
			e.scale[t][n] = float32(1 / (8 * float64(v) * aanScale[n/8] * aanScale[n%8]))
		}
	}
}

// header appends everything up to the compressed data.
func (e *goEncoder) header(b []byte, m *pixfmt.Image) []byte {
	b = append(b, 0xff, mSOI, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
	tables := 2
	if m.Format == frame.GREY {
		tables = 1
	}
	b = append(b, 0xff, 0xdb, 0, byte(2+65*tables))
	for t := range tables {
		b = append(append(b, byte(t)), e.quant[t][:]...)
	}
	w, h := m.Width, m.Height
	if tables == 1 {
		b = append(b, 0xff, mSOF0, 0, 11, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 1, 1, 0x11, 0)
	} else {
		b = append(b, 0xff, mSOF0, 0, 17, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)
	}
	if tables == 2 {
		b = append(b, standardDHT...)
	} else { // the luminance tables, which come first
		b = append(b, 0xff, mDHT, 0, 210)
		b = append(b, standardDHT[4:4+208]...)
	}
	if tables == 1 {
		return append(b, 0xff, mSOS, 0, 8, 1, 1, 0, 0, 63, 0)
	}
	return append(b, 0xff, mSOS, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0)
}

package mjpeg

import (
	"fmt"
	"sync"
	"sync/atomic"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// EncoderOptions are what an encoder can do beside the usual. The zero value is the
// fastest on one core.
type EncoderOptions struct {
	// Keep422 keeps the chroma of YUYV and UYVY as it is (4:2:2) instead of averaging
	// two rows of it (4:2:0): a third more blocks, sharper colour edges.
	Keep422 bool
	// Optimise makes Huffman tables for each picture: some percent smaller, slower.
	Optimise bool
	// Restart puts a restart marker behind this many rows of MCUs (0: none), so that a
	// damaged picture is damaged only up to the next one.
	Restart int
	// Slices encodes each picture on this many goroutines at once (0 and 1: on the
	// caller's), with restart markers between their parts: for latency, at the cost of
	// the other cores. It replaces Restart.
	Slices int
}

// slicesPerWorker is how many parts a picture is divided into for each goroutine.
const slicesPerWorker = 4

// goEncoder writes baseline JPEGs (4:2:0, 4:2:2 or grey), reading the caller's planes
// where they lie. It works by rows of MCUs: what is no planar picture, or reaches over
// the edge, is brought into a strip that stays in the cache; the blocks of a row are
// transformed together, then entropy-coded. It allocates nothing once its buffers
// have grown.
type goEncoder struct {
	opt     EncoderOptions
	quality int // of the tables below; 0 = none yet
	quant   [2][64]byte
	scale   [2]scaleTable
	tables  *encTables
	own     *encTables // optimised ones
	slices  []*slice
	used    []*slice // for the picture in work
	workers []*worker
	next    atomic.Int32 // of used, the first that no worker has taken
	group   sync.WaitGroup
	layout  layout // of the picture in work
}

// scaleTable holds the reciprocals of quantisation steps and the transform's scale
// factors, in the order in which the kernel of this machine takes them.
type scaleTable [64]float32

// layout is how a picture is divided up.
type layout struct {
	src        pixfmt.Image
	n          int // components
	hMax, vMax int // of luma; chroma has 1, 1
	mcuX, mcuY int
}

func newGoEncoder() *goEncoder { return newGoEncoderWith(EncoderOptions{}) }

func newGoEncoderWith(o EncoderOptions) *goEncoder {
	return &goEncoder{opt: o, tables: &typicalTables}
}

func (e *goEncoder) Name() string { return "go" + kernelName }

func (e *goEncoder) Encode(dst []byte, f *frame.Frame, quality int) ([]byte, error) {
	m, err := pixfmt.FrameView(f)
	if err != nil {
		return nil, fmt.Errorf("encoding JPEG: %w", err)
	}
	l := &e.layout
	*l = layout{src: m, n: 3, hMax: 2, vMax: 2}
	switch m.Format {
	case frame.GREY:
		l.n, l.hMax, l.vMax = 1, 1, 1
	case frame.YUYV, frame.UYVY:
		if e.opt.Keep422 {
			l.vMax = 1
		}
	}
	l.mcuX = (m.Width + 8*l.hMax - 1) / (8 * l.hMax)
	l.mcuY = (m.Height + 8*l.vMax - 1) / (8 * l.vMax)
	e.setQuality(min(max(quality, 1), 100))

	rows := l.mcuY // rows of MCUs between restart markers
	if e.opt.Slices > 1 {
		n := e.opt.Slices * slicesPerWorker
		rows = (l.mcuY + n - 1) / n
	} else if e.opt.Restart > 0 {
		rows = min(e.opt.Restart, l.mcuY)
	}
	rows = max(min(rows, 65535/l.mcuX), 1) // the segment has 16 bits
	if e.opt.Slices <= 1 && e.opt.Restart <= 0 {
		rows = l.mcuY
	}
	parts := (l.mcuY + rows - 1) / rows
	n := 1
	if e.opt.Slices > 1 {
		n = parts
	}
	for len(e.slices) < n {
		e.slices = append(e.slices, &slice{e: e})
	}
	used := e.slices[:n]
	e.used = used
	for i, s := range used {
		s.l, s.first, s.last, s.every = l, i*rows, min((i+1)*rows, l.mcuY), rows
		if n == 1 {
			s.last, s.scratch = l.mcuY, &s.own
		}
		s.keep = e.opt.Optimise
	}
	e.tables = &typicalTables
	if e.opt.Optimise {
		e.each(true)
		e.optimise(used)
	}
	b := e.header(dst[:0], l, rows, parts)
	if n == 1 {
		s := used[0]
		s.w = bitWriter{b: b[:cap(b)], pos: len(b), free: 64}
		s.encode()
		b = s.w.b[:s.w.pos]
		s.w.b = nil
	} else {
		e.each(false)
		for i, s := range used {
			if i > 0 {
				b = append(b, 0xff, mRST0+byte((i-1)&7))
			}
			b = append(b, s.w.b[:s.w.pos]...)
		}
	}
	for _, s := range used { // the picture is not ours to hold
		clear(s.own.from[:])
	}
	for _, w := range e.workers {
		clear(w.from[:])
	}
	*l = layout{}
	return append(b, 0xff, mEOI), nil
}

// each runs all slices' transforms (keeping the coefficients), or their coding.
func (e *goEncoder) each(transform bool) {
	for _, s := range e.used {
		s.transformOnly = transform
		if !transform {
			s.w.pos, s.w.acc, s.w.free = 0, 0, 64
		}
	}
	n := max(min(e.opt.Slices, len(e.used)), 1)
	for len(e.workers) < n {
		e.workers = append(e.workers, newWorker(e))
	}
	e.next.Store(0)
	for _, w := range e.workers[1:n] {
		e.group.Add(1)
		go w.background()
	}
	e.workers[0].work()
	e.group.Wait()
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
			n := int(zigzag[k])
			at := n
			if transposed {
				at = n%8*8 + n/8
			}
			e.scale[t][at] = float32(1 / (8 * float64(v) * aanScale[n/8] * aanScale[n%8]))
		}
	}
}

// header appends everything up to the compressed data.
func (e *goEncoder) header(b []byte, l *layout, restartRows, parts int) []byte {
	b = append(b, 0xff, mSOI, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
	tables := 2
	if l.n == 1 {
		tables = 1
	}
	b = append(b, 0xff, 0xdb, 0, byte(2+65*tables))
	for t := range tables {
		b = append(append(b, byte(t)), e.quant[t][:]...)
	}
	w, h := l.src.Width, l.src.Height
	if tables == 1 {
		b = append(b, 0xff, mSOF0, 0, 11, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 1, 1, 0x11, 0)
	} else {
		b = append(b, 0xff, mSOF0, 0, 17, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 3, 1, byte(l.hMax<<4|l.vMax), 0, 2, 0x11, 1, 3, 0x11, 1)
	}
	b = e.tables.appendDHT(b, tables)
	if parts > 1 {
		n := restartRows * l.mcuX
		b = append(b, 0xff, mDRI, 0, 4, byte(n>>8), byte(n))
	}
	if tables == 1 {
		return append(b, 0xff, mSOS, 0, 8, 1, 1, 0, 0, 63, 0)
	}
	return append(b, 0xff, mSOS, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0)
}

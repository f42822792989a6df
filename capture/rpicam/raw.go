package rpicam

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// layout is how one raw frame lies in the bytes that rpicam-vid dumps.
type layout struct {
	width, height int
	stride        int
	length        int // of the whole dump, which may be longer than the picture
}

// layoutOf works out the stride of a dump of this length. Both hardware families'
// alignments are tried for an exact match; a dump that is longer than it needs to
// be has the alignment of the machine it runs on.
func layoutOf(width, height, length int, pisp bool) (layout, error) {
	up := func(n int) int { return (width + n - 1) / n * n }
	l := layout{width: width, height: height, length: length}
	for _, s := range []int{up(64), up(128), up(32), width + width&1} {
		if n := pixfmt.Size(frame.I420, width, height, s); n != 0 && n == length {
			l.stride = s
			return l, nil
		}
	}
	s := up(64)
	if pisp {
		s = up(128)
	}
	if n := pixfmt.Size(frame.I420, width, height, s); n != 0 && n <= length && length <= 2*n {
		l.stride = s
		return l, nil
	}
	return l, fmt.Errorf("a raw frame of %d bytes is not a %dx%d picture with rows rounded up to 64 or 128 bytes", length, width, height)
}

// rawReader reads dumps of one layout into frames without padding.
type rawReader struct {
	r    io.Reader
	l    layout
	pool *frame.Pool
}

func (r *rawReader) next() (*frame.Frame, error) {
	f := r.pool.Get(r.l.length)
	if _, err := io.ReadFull(r.r, f.Data); err != nil {
		f.Release()
		return nil, err
	}
	m, err := pixfmt.View(frame.I420, r.l.width, r.l.height, r.l.stride, f.Data)
	if err == nil {
		f.Data, err = pixfmt.Tighten(f.Data, &m)
	}
	if err != nil {
		f.Release()
		return nil, err
	}
	f.Format, f.Width, f.Height, f.Stride = frame.I420, r.l.width, r.l.height, pixfmt.Stride(frame.I420, r.l.width)
	return f, nil
}

// What rpicam-vid and libcamera say on stderr that tells the layout:
//
//	[0:08:34.9] [1857]  INFO Camera camera.cpp:1197 configuring streams: (0) 640x480-YUV420
//	FileOutput: output buffer 0x7f8a000000 size 460800
var (
	sayConfig = []byte("configuring streams: (0) ")
	saySize   = []byte("output buffer ")
)

// heard is what could be read from the messages so far.
type heard struct {
	width, height int // really configured
	length        int // of the first buffer written
}

func (h *heard) line(b []byte) {
	if _, rest, ok := bytes.Cut(b, sayConfig); ok {
		size, _, _ := bytes.Cut(rest, []byte("-"))
		ws, hs, ok := bytes.Cut(size, []byte("x"))
		w, err1 := strconv.Atoi(string(ws))
		hh, err2 := strconv.Atoi(string(hs))
		if ok && err1 == nil && err2 == nil && w > 0 && hh > 0 && w <= pixfmt.MaxDim && hh <= pixfmt.MaxDim {
			h.width, h.height = w, hh
		}
		return
	}
	if _, rest, ok := bytes.Cut(b, saySize); ok && h.length == 0 {
		if _, n, ok := bytes.Cut(rest, []byte(" size ")); ok {
			if v, err := strconv.Atoi(string(bytes.TrimSpace(n))); err == nil && v > 0 && v <= maxRaw {
				h.length = v
			}
		}
	}
}

// maxRaw bounds a raw frame: the largest sensor of today has 64 megapixels.
const maxRaw = 128 << 20

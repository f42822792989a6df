package mjpeg

import (
	"encoding/binary"
	"errors"
	"fmt"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// goDecoder reads baseline and extended sequential JPEGs of one interleaved scan
// with 8 bits per sample: grey, or YCbCr of any sampling. What is rarer (progressive,
// several scans, CMYK, RGB) goes to image/jpeg. It works through a picture by rows of
// MCUs: entropy decoding and inverse DCT into a strip that stays in the cache, then
// from there to the caller's buffer.
type goDecoder struct {
	limits Limits
	std    *stdDecoder // made when it is needed first
	h      decHeader
	huff   [8]huffTable // DC 0..3, AC 0..3; kept while the DHT segments stay the same
	strip  []byte       // memory of the components' strips
	spread [2][]byte    // chroma of a row, where it has to be repeated
	block  [64]int16
	bits   bitReader
	scale  int  // denominator: 1, 2, 4 or 8
	size   int  // of a block in the output: 8/scale
	group  int  // MCU rows in a strip
	sane   bool // nothing was met that no encoder makes
}

// decHeader is what a decoder takes from the segments before the scan.
type decHeader struct {
	comp       [3]component
	n          int // components
	hMax, vMax int
	mcuX, mcuY int // MCUs in a row, and rows of them
	restart    int
	quant      [4][64]int32 // in zigzag order
	haveQuant  [4]bool
	scan       int  // offset of compressed data
	dht        bool // tables came with the picture
	adobe      int  // colour transform of an Adobe segment, or -1
}

type component struct {
	id, h, v, tq int
	dc, ac       *huffTable
	quant        *[64]int32
	pred         int32
	out          []byte // the strip, or the caller's plane
	stride       int
	own          []byte // the strip's own memory
	ownStride    int
	first        int // offset of the MCU row being decoded in out
	skip         bool
}

func newGoDecoder(l Limits) *goDecoder { return &goDecoder{limits: l} }

func (d *goDecoder) Name() string {
	if haveIDCT {
		return "go" + kernelName
	}
	return "go"
}

func (d *goDecoder) Decode(dst, b []byte, format frame.FourCC) ([]byte, int, int, error) {
	return d.DecodeScaled(dst, b, format, 1)
}

func (d *goDecoder) DecodeScaled(dst, b []byte, format frame.FourCC, scale int) ([]byte, int, int, error) {
	info, err := checkDecode(b, format, scale, d.limits)
	if err != nil {
		return nil, 0, 0, err
	}
	if info.Progressive || !d.read(b, &info) {
		if d.std == nil {
			d.std = newStdDecoder(d.limits)
		}
		return d.std.DecodeScaled(dst, b, format, scale)
	}
	w, h := Scaled(info.Width, scale), Scaled(info.Height, scale)
	n := pixfmt.Size(format, w, h, 0)
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	dst = dst[:n]
	out, err := pixfmt.View(format, w, h, 0, dst)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("decoding JPEG: %w", err)
	}
	d.scale, d.size = scale, 8/scale
	done := d.decode(&out, b, &info)
	if total := d.h.mcuX * d.h.mcuY; done == 0 {
		return nil, 0, 0, fmt.Errorf("decoding JPEG of %dx%d: %w: nothing of its data can be read", info.Width, info.Height, ErrMalformed)
	} else if done < total {
		return dst, w, h, &DamagedError{Decoded: done, Total: total}
	}
	return dst, w, h, nil
}

// checkDecode refuses what cannot or must not be decoded, before any memory is taken.
func checkDecode(b []byte, format frame.FourCC, scale int, l Limits) (Info, error) {
	switch format {
	case frame.I420, frame.RGB24, frame.BGR24, frame.GREY:
	default:
		return Info{}, fmt.Errorf("decoding JPEG to %s: %w", format, pixfmt.ErrUnsupported)
	}
	switch scale {
	case 1, 2, 4, 8:
	default:
		return Info{}, fmt.Errorf("decoding JPEG at 1/%d: %w: scales are 1, 2, 4 and 8", scale, pixfmt.ErrUnsupported)
	}
	info, err := Header(b)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			return info, fmt.Errorf("decoding JPEG: %w", err)
		}
		if info, err = tolerantHeader(b); err != nil {
			return info, fmt.Errorf("decoding JPEG: %w", err)
		}
	}
	if err := l.Check(&info, len(b)); err != nil {
		return info, fmt.Errorf("decoding JPEG: %w", err)
	}
	if pixfmt.Size(format, info.Width, info.Height, 0) == 0 {
		return info, fmt.Errorf("decoding JPEG: %w: %dx%d as %s", ErrLimit, info.Width, info.Height, format)
	}
	return info, nil
}

// tolerantHeader skips what stands between segments and is no marker.
func tolerantHeader(b []byte) (Info, error) {
	var info Info
	var first error
	for i := 2; ; {
		m, seg, next, ok := segment(b, i)
		if !ok {
			if first == nil {
				first = ErrTruncated
			}
			return info, first
		}
		switch {
		case m == mDHT:
			info.HasDHT = true
		case m == mDRI && len(seg) >= 2:
			info.RestartInterval = int(binary.BigEndian.Uint16(seg))
		case m == mSOS:
			if info.SOF == 0 {
				return info, malformed("scan before the frame header", i)
			}
			info.SOS, info.Scan = next-len(seg)-4, next
			return info, nil
		case isSOF(m):
			if info.SOF != 0 {
				return info, malformed("second frame header", i)
			}
			if err := info.frameHeader(m, seg, next-len(seg)-4); err != nil {
				return info, err
			}
		}
		i = next
	}
}

func isSOF(m byte) bool { return m >= mSOF0 && m <= 0xcf && m != mDHT && m != mJPG && m != mDAC }

// segment finds the first marker segment at or behind i.
func segment(b []byte, i int) (m byte, seg []byte, next int, ok bool) {
	for ; i+4 <= len(b); i++ {
		if b[i] != 0xff {
			continue
		}
		m = b[i+1]
		if m == 0 || m == 0xff || m == mTEM || m >= mRST0 && m <= mEOI || m < 0xc0 {
			continue
		}
		n := int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 2 || i+2+n > len(b) {
			continue
		}
		return m, b[i+4 : i+2+n], i + 2 + n, true
	}
	return 0, nil, 0, false
}

// read takes what it needs from the segments; false means that this kind of
// picture is not for this decoder.
func (d *goDecoder) read(b []byte, info *Info) bool {
	h := &d.h
	h.n, h.adobe, h.restart, h.dht = 0, -1, 0, false
	h.haveQuant = [4]bool{}
	for i := 2; ; {
		m, seg, next, ok := segment(b, i)
		if !ok {
			return false
		}
		i = next
		switch {
		case m == 0xdb:
			if !h.quantTables(seg) {
				return false
			}
		case m == mDHT:
			h.dht = true
			if !d.huffmanTables(seg) {
				return false
			}
		case m == mDRI && len(seg) >= 2:
			h.restart = int(binary.BigEndian.Uint16(seg))
		case m == 0xee && len(seg) >= 12 && string(seg[:5]) == "Adobe":
			h.adobe = int(seg[11])
		case isSOF(m):
			if !h.frame(seg, info) {
				return false
			}
		case m == mSOS:
			h.scan = next
			return d.scanHeader(seg)
		}
	}
}

func (h *decHeader) quantTables(seg []byte) bool {
	for len(seg) > 0 {
		wide, t := int(seg[0]>>4), int(seg[0]&15)
		n := 64 << (wide & 1)
		if wide > 1 || t > 3 || len(seg) < 1+n {
			return false
		}
		for k := range 64 {
			if wide == 1 {
				h.quant[t][k] = int32(binary.BigEndian.Uint16(seg[1+2*k:]))
			} else {
				h.quant[t][k] = int32(seg[1+k])
			}
		}
		h.haveQuant[t] = true
		seg = seg[1+n:]
	}
	return true
}

func (h *decHeader) frame(seg []byte, info *Info) bool {
	h.n = info.Components
	if h.n != 1 && h.n != 3 {
		return false
	}
	h.hMax, h.vMax = 1, 1
	for c := range h.n {
		p := &h.comp[c]
		s := seg[6+3*c:]
		p.id, p.h, p.v, p.tq = int(s[0]), int(s[1]>>4), int(s[1]&15), int(s[2])
		if h.n == 1 {
			p.h, p.v = 1, 1 // a scan of one component has no MCUs of several blocks
		}
		if p.h < 1 || p.h > 4 || p.v < 1 || p.v > 4 || p.tq > 3 {
			return false
		}
		h.hMax, h.vMax = max(h.hMax, p.h), max(h.vMax, p.v)
	}
	blocks := 0
	for c := range h.n {
		p := &h.comp[c]
		blocks += p.h * p.v
		if h.hMax%p.h != 0 || h.vMax%p.v != 0 {
			return false
		}
	}
	if h.n == 3 && (h.comp[0].id == 'R' && h.comp[1].id == 'G' && h.comp[2].id == 'B' || blocks > 16 ||
		h.comp[0].h != h.hMax || h.comp[0].v != h.vMax) {
		return false
	}
	h.mcuX = (info.Width + 8*h.hMax - 1) / (8 * h.hMax)
	h.mcuY = (info.Height + 8*h.vMax - 1) / (8 * h.vMax)
	return true
}

func (d *goDecoder) scanHeader(seg []byte) bool {
	h := &d.h
	if h.n == 0 || len(seg) < 4+2*h.n || int(seg[0]) != h.n || h.n == 3 && h.adobe == 0 {
		return false
	}
	if !h.dht {
		d.huffmanTables(standardDHT[4:])
	}
	for c := range h.n {
		p := &h.comp[c]
		id, t := int(seg[1+2*c]), seg[2+2*c]
		if id != p.id || t>>4 > 3 || t&15 > 3 || !h.haveQuant[p.tq] {
			return false
		}
		p.dc, p.ac, p.quant = &d.huff[t>>4], &d.huff[4+t&15], &h.quant[p.tq]
		if !p.dc.valid || !p.ac.valid {
			return false
		}
	}
	return true
}

// Scaled is the size of a side of n samples that is decoded at 1/scale.
func Scaled(n, scale int) int { return (n + scale - 1) / scale }

// DamagedError says that a picture was decoded, but not all of it: the rest is grey.
type DamagedError struct {
	Decoded, Total int // MCUs
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("damaged JPEG: %d of %d parts could be decoded", e.Decoded, e.Total)
}

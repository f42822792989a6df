package mjpeg

import (
	"bytes"
	"encoding/binary"
)

// walker follows the segments of one picture through bytes that arrive bit by
// bit, until behind its EOI. It remembers where it is, so no byte is looked at
// twice (but for the last few of a piece).
type walker struct {
	pos  int  // everything before it has been understood
	scan bool // pos is inside compressed data, where FF stands for itself or a marker
	sof  bool // a frame header was seen
}

type walkState uint8

const (
	walkMore   walkState = iota // needs more bytes
	walkDone                    // pos is behind EOI
	walkBroken                  // no picture can go on like this; pos is where it broke
	walkNext                    // the next picture begins at pos; this one had no EOI
)

// walk goes on through b, which begins with the picture's SOI and holds at least
// what it held last time.
func (w *walker) walk(b []byte) walkState {
	if w.pos == 0 {
		if len(b) < 2 {
			return walkMore
		}
		if b[0] != 0xff || b[1] != mSOI {
			return walkBroken
		}
		w.pos = 2
	}
	for {
		if w.scan {
			k := bytes.IndexByte(b[w.pos:], 0xff)
			if k < 0 {
				w.pos = len(b)
				return walkMore
			}
			w.pos += k
		}
		if w.pos+2 > len(b) {
			return walkMore
		}
		if b[w.pos] != 0xff {
			return walkBroken
		}
		switch m := b[w.pos+1]; {
		case m == 0xff:
			w.pos++
			continue
		case m == 0:
			if !w.scan {
				return walkBroken
			}
			w.pos += 2
			continue
		case m >= mRST0 && m <= mRST7:
			if !w.scan {
				return walkBroken
			}
			w.pos += 2
			continue
		case m == mTEM:
			w.pos += 2
			continue
		case m == mEOI:
			w.pos += 2
			if !w.sof {
				return walkBroken
			}
			return walkDone
		case m == mSOI:
			if w.sof && w.scan {
				return walkNext
			}
			return walkBroken
		}
		if w.pos+4 > len(b) {
			return walkMore
		}
		n := int(binary.BigEndian.Uint16(b[w.pos+2:]))
		if n < 2 {
			return walkBroken
		}
		if w.pos+2+n > len(b) {
			return walkMore
		}
		m := b[w.pos+1]
		if m >= mSOF0 && m <= 0xcf && m != mDHT && m != mJPG && m != mDAC {
			w.sof = true
		}
		w.scan = m == mSOS
		if w.scan && !w.sof {
			return walkBroken
		}
		w.pos += 2 + n
	}
}

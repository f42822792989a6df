package mjpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors that say why bytes are not a picture.
var (
	ErrEmpty     = errors.New("empty JPEG")
	ErrNotJPEG   = errors.New("not a JPEG: no SOI marker")
	ErrTruncated = errors.New("JPEG ends inside its header")
	ErrMalformed = errors.New("malformed JPEG")
)

const (
	mSOF0 = 0xc0
	mDHT  = 0xc4
	mJPG  = 0xc8
	mDAC  = 0xcc
	mRST0 = 0xd0
	mRST7 = 0xd7
	mSOI  = 0xd8
	mEOI  = 0xd9
	mSOS  = 0xda
	mDRI  = 0xdd
	mTEM  = 0x01
)

// Info is what a JPEG's header says.
type Info struct {
	Width, Height   int
	Components      int
	Precision       int  // bits per sample
	H, V            int  // sampling factors of the first component relative to the second: 2, 2 is 4:2:0
	Progressive     bool // SOF2
	Lossless        bool // or arithmetic or hierarchical: no decoder here reads it
	RestartInterval int  // in MCUs; 0 = none
	HasDHT          bool // Huffman tables come before the first scan
	SOF, SOS        int  // offsets of these markers
	Scan            int  // offset of the first scan's compressed data
}

// Subsampling is the usual name of the chroma format.
func (i *Info) Subsampling() string {
	switch {
	case i.Components == 1:
		return "4:0:0"
	case i.H == 1 && i.V == 1:
		return "4:4:4"
	case i.H == 2 && i.V == 1:
		return "4:2:2"
	case i.H == 2 && i.V == 2:
		return "4:2:0"
	case i.H == 1 && i.V == 2:
		return "4:4:0"
	case i.H == 4 && i.V == 1:
		return "4:1:1"
	case i.H == 4 && i.V == 2:
		return "4:1:0"
	}
	return fmt.Sprintf("%dx%d", i.H, i.V)
}

// Header walks the segments of one picture up to its first scan. Nothing behind
// that is looked at, so success does not say that the picture is whole.
func Header(b []byte) (Info, error) {
	var info Info
	if len(b) == 0 {
		return info, ErrEmpty
	}
	if len(b) < 4 {
		return info, ErrTruncated
	}
	if b[0] != 0xff || b[1] != mSOI {
		return info, ErrNotJPEG
	}
	i := 2
	for {
		if i+4 > len(b) {
			return info, ErrTruncated
		}
		if b[i] != 0xff {
			return info, malformed("no marker where a segment should begin", i)
		}
		m := b[i+1]
		if m == 0xff { // fill byte
			i++
			continue
		}
		if m == mTEM {
			i += 2
			continue
		}
		if m == 0 || m >= mRST0 && m <= mEOI {
			return info, malformed("unexpected marker in the header", i)
		}
		n := int(binary.BigEndian.Uint16(b[i+2:]))
		if n < 2 {
			return info, malformed("segment length below 2", i)
		}
		end := i + 2 + n
		if end > len(b) {
			return info, ErrTruncated
		}
		seg := b[i+4 : end]
		switch {
		case m == mDHT:
			info.HasDHT = true
		case m == mDRI:
			if len(seg) >= 2 {
				info.RestartInterval = int(binary.BigEndian.Uint16(seg))
			}
		case m == mSOS:
			if info.SOF == 0 {
				return info, malformed("scan before the frame header", i)
			}
			info.SOS, info.Scan = i, end
			return info, nil
		case m >= mSOF0 && m <= 0xcf && m != mJPG && m != mDAC:
			if info.SOF != 0 {
				return info, malformed("second frame header", i)
			}
			if err := info.frameHeader(m, seg, i); err != nil {
				return info, err
			}
		}
		i = end
	}
}

func (info *Info) frameHeader(m byte, seg []byte, at int) error {
	if len(seg) < 6 {
		return malformed("frame header too short", at)
	}
	info.SOF = at
	info.Precision = int(seg[0])
	info.Height = int(binary.BigEndian.Uint16(seg[1:]))
	info.Width = int(binary.BigEndian.Uint16(seg[3:]))
	info.Components = int(seg[5])
	info.Progressive = m == mSOF0+2
	info.Lossless = m > mSOF0+2
	if info.Components == 0 || len(seg) < 6+3*info.Components {
		return malformed("wrong number of components", at)
	}
	if info.Width == 0 || info.Height == 0 { // a height of 0 is legal (DNL), but nobody reads it
		return malformed("width or height is 0", at)
	}
	info.H, info.V = 1, 1
	if info.Components > 1 {
		a, c := seg[7], seg[10]
		if a>>4 == 0 || a&15 == 0 || c>>4 == 0 || c&15 == 0 {
			return malformed("sampling factor is 0", at)
		}
		info.H, info.V = int(a>>4)/int(c>>4), int(a&15)/int(c&15)
	}
	return nil
}

// headerError says what is wrong, and where.
type headerError struct {
	what string
	at   int
}

func malformed(what string, at int) error { return &headerError{what, at} }

func (e *headerError) Error() string {
	return fmt.Sprintf("malformed JPEG: %s at byte %d", e.what, e.at)
}
func (e *headerError) Unwrap() error { return ErrMalformed }

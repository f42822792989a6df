package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// AVI as in Microsoft's "AVI RIFF File Reference" and the OpenDML extensions: a
// tree of chunks, each with four characters and a little-endian length. The frames
// are taken in the order they lie in, so no index is needed, none is believed, and
// files that end early or have more than one RIFF part work alike.

// parseAVI lists the frames of the first MJPEG stream.
func parseAVI(src *source) (items []item, share time.Duration, err error) {
	var p aviParser
	var buf [64]byte
	for pos := int64(0); pos+8 <= src.size; {
		head, err := src.read(pos, 8, buf[:])
		if err != nil {
			break
		}
		if !isFourCC(head[:4]) {
			break // no chunk begins so: what follows is none, and may be gigabytes of zeros
		}
		id, n := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		body := pos + 8
		switch id {
		case "RIFF", "LIST":
			kind, err := src.read(body, 4, buf[:])
			if err != nil {
				return p.finish()
			}
			if k := string(kind); k == "strl" {
				p.newStream()
			} else if k == "movi" && !p.found {
				return nil, 0, errors.New("AVI has no MJPEG stream")
			}
			if k := string(kind); id == "RIFF" || k == "hdrl" || k == "strl" || k == "movi" || k == "rec " {
				pos = body + 4 // go in: whatever the length says, chunks follow each other
				continue
			}
		case "strh", "strf":
			b, err := src.read(body, int(min(n, 48, src.size-body)), buf[:])
			if err != nil {
				return p.finish()
			}
			p.streamHeader(id, b)
		default:
			if p.isVideo(id) {
				if err := p.add(body, min(n, src.size-body)); err != nil {
					return nil, 0, err
				}
			}
		}
		pos = body + n + n&1
	}
	return p.finish()
}

// isFourCC reports whether b can be a chunk's name: characters that can be printed.
func isFourCC(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

type aviParser struct {
	streams int
	video   int // number of the stream that is taken, if found
	found   bool
	isVids  bool
	scale   uint32
	rate    uint32
	count   int64 // of the stream's chunks, empty ones included
	items   []item
}

func (p *aviParser) newStream() { p.streams++; p.isVids = false }

func (p *aviParser) streamHeader(id string, b []byte) {
	if p.found || p.streams == 0 {
		return
	}
	if id == "strh" && len(b) >= 28 && string(b[:4]) == "vids" {
		p.isVids = true
		p.scale, p.rate = binary.LittleEndian.Uint32(b[20:]), binary.LittleEndian.Uint32(b[24:])
	}
	if id == "strf" && p.isVids && len(b) >= 20 {
		switch c := string(b[16:20]); c {
		case "MJPG", "mjpg", "JPEG", "jpeg", "AVRn", "dmb1":
			p.found, p.video = true, p.streams-1
		}
	}
}

// isVideo reports whether a chunk is a frame of the stream: two digits, then dc
// (compressed) or db.
func (p *aviParser) isVideo(id string) bool {
	return p.found && id[2] == 'd' && (id[3] == 'c' || id[3] == 'b') && id[0] == byte('0'+p.video/10) && id[1] == byte('0'+p.video%10)
}

func (p *aviParser) add(off, n int64) error {
	at := p.time(p.count)
	p.count++
	if n == 0 {
		return nil // "show the last one again"
	}
	if len(p.items) >= maxItems {
		return fmt.Errorf("AVI has more than %d frames", maxItems)
	}
	p.items = append(p.items, item{at: at, off: off, n: int(min(n, math.MaxInt32))})
	return nil
}

func (p *aviParser) time(n int64) time.Duration {
	scale, rate := float64(p.scale), float64(p.rate)
	if scale == 0 || rate == 0 || rate/scale > 100_000 || rate/scale < 1e-4 {
		scale, rate = 1, defaultFPS
	}
	return time.Duration(float64(n) * scale / rate * float64(time.Second))
}

func (p *aviParser) finish() ([]item, time.Duration, error) {
	if !p.found {
		return nil, 0, errors.New("AVI has no MJPEG stream")
	}
	if len(p.items) == 0 {
		return nil, 0, errors.New("AVI has no frames")
	}
	return p.items, p.time(1), nil
}

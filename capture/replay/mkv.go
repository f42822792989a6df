package replay

import (
	"errors"
	"fmt"
	"math"
	"time"

	"framepipe/capture/replay/stamps"
	"framepipe/frame"
)

// Matroska as in RFC 9559 on EBML (RFC 8794). Elements are walked in the order they
// lie in: the headers of the ones that matter are stepped into, all others are
// stepped over. That way the unknown lengths of files that were never finished (a
// live recording, or one whose program was killed) need no special care, and no
// length can send the reader back.

const (
	idEBML           = 0x1a45dfa3
	idSegment        = 0x18538067
	idInfo           = 0x1549a966
	idTimestampScale = 0x2ad7b1
	idTracks         = 0x1654ae6b
	idTrackEntry     = 0xae
	idTrackNumber    = 0xd7
	idCodecID        = 0x86
	idDefaultDur     = 0x23e383
	idEncodings      = 0x6d80
	idCluster        = 0x1f43b675
	idTimestamp      = 0xe7
	idBlockGroup     = 0xa0
	idBlock          = 0xa1
	idSimpleBlock    = 0xa3
	idBlockAdditions = 0x75a1
	idBlockMore      = 0xa6
	idBlockAddID     = 0xee
	idBlockAdded     = 0xa5
)

// stampsID is the BlockAddID of package stamps' entries in our own recordings.
const stampsID = 2

const maxTime = 100 * 365 * 24 * time.Hour

type mkvTrack struct {
	number   uint64
	codec    string
	duration time.Duration
	encoded  bool
}

type mkvParser struct {
	src     *source
	scale   uint64
	tracks  []mkvTrack
	chosen  *mkvTrack
	cluster uint64
	items   []item
	laced   int
	addID   uint64             // of the addition that comes
	addTo   bool               // the last block was a frame of ours, to which additions belong
	stamped []frame.SenderTime // by item, as far as they have stamps
}

// parseMKV lists the frames of the first MJPEG track.
func parseMKV(src *source) (items []item, share time.Duration, err error) {
	p := mkvParser{src: src, scale: 1_000_000}
	for pos := int64(0); pos < src.size; {
		id, size, body, ok := p.element(pos)
		if !ok {
			break // cut off
		}
		switch id {
		case idSegment, idInfo, idTracks, idCluster, idBlockGroup, idBlockAdditions:
			pos = body
			continue
		case idBlockMore:
			p.addID = 1 // unless it says otherwise
			pos = body
			continue
		case idTrackEntry:
			if len(p.tracks) >= 1000 {
				return nil, 0, errors.New("this Matroska file has more than 1000 tracks")
			}
			p.tracks = append(p.tracks, mkvTrack{})
			pos = body
			continue
		}
		if size < 0 {
			break
		}
		if err := p.visit(id, body, size); err != nil {
			return nil, 0, err
		}
		if size > src.size-body {
			break
		}
		pos = body + size
	}
	return p.finish()
}

func (p *mkvParser) visit(id uint64, body, size int64) error {
	var t *mkvTrack
	if n := len(p.tracks); n > 0 {
		t = &p.tracks[n-1]
	}
	switch id {
	case idTimestampScale:
		if v, ok := p.uint(body, size); ok && v > 0 && v < 1<<40 {
			p.scale = v
		}
	case idTimestamp:
		p.cluster, _ = p.uint(body, size)
	case idTrackNumber:
		if t != nil {
			t.number, _ = p.uint(body, size)
		}
	case idDefaultDur:
		if v, ok := p.uint(body, size); ok && t != nil && v < uint64(time.Hour) {
			t.duration = time.Duration(v)
		}
	case idEncodings:
		if t != nil {
			t.encoded = true
		}
	case idCodecID:
		if b, err := p.src.read(body, int(min(size, 32)), nil); err == nil && t != nil {
			t.codec = string(b)
		}
	case idBlock, idSimpleBlock:
		if p.chosen == nil {
			if err := p.choose(); err != nil {
				return err
			}
		}
		p.addTo = false
		return p.block(body, size)
	case idBlockAddID:
		p.addID, _ = p.uint(body, size)
	case idBlockAdded:
		if p.addID == stampsID && p.addTo && size >= stamps.Size && len(p.stamped) < len(p.items) {
			var buf [stamps.Size]byte
			b, err := p.src.read(body, stamps.Size, buf[:])
			if err != nil {
				return nil
			}
			if s, ok := stamps.Parse(b); ok {
				p.stamped = append(p.stamped, make([]frame.SenderTime, len(p.items)-1-len(p.stamped))...)
				p.stamped = append(p.stamped, s.Captured)
			}
		}
	}
	return nil
}

func (p *mkvParser) choose() error {
	for i := range p.tracks {
		if t := &p.tracks[i]; t.codec == "V_MJPEG" {
			if t.encoded {
				return errors.New("this Matroska track is compressed or encrypted once more (ContentEncodings)")
			}
			p.chosen = t
			return nil
		}
	}
	return errors.New("this Matroska file has no V_MJPEG track")
}

// block is track number, time relative to the cluster, flags, frame.
func (p *mkvParser) block(body, size int64) error {
	var buf [12]byte
	head, err := p.src.read(body, int(min(size, 12, p.src.size-body)), buf[:])
	if err != nil || len(head) == 0 {
		return nil
	}
	number, n := vint(head, true)
	if n == 0 || len(head) < n+3 || number != p.chosen.number {
		return nil
	}
	if head[n+2]&0x06 != 0 { // several frames in one block: not for video
		p.laced++
		return nil
	}
	rel := int64(int16(uint16(head[n])<<8 | uint16(head[n+1])))
	at := (float64(p.cluster) + float64(rel)) * float64(p.scale)
	if at > float64(maxTime) {
		return errors.New("this Matroska file has impossible times")
	}
	if len(p.items) >= maxItems {
		return fmt.Errorf("this Matroska file has more than %d frames", maxItems)
	}
	o := int64(n + 3)
	length := min(size, p.src.size-body) - o
	p.items = append(p.items, item{at: time.Duration(at), off: body + o, n: int(min(length, math.MaxInt32))})
	p.addTo = true
	return nil
}

func (p *mkvParser) finish() ([]item, time.Duration, error) {
	if len(p.items) == 0 {
		if err := p.choose(); err != nil {
			return nil, 0, err
		}
		return nil, 0, errors.New("this Matroska file has no frames")
	}
	p.sharpen()
	// Times begin at 0 and never go back.
	first, last := p.items[0].at, time.Duration(0)
	for i := range p.items {
		last = max(last, p.items[i].at-first)
		p.items[i].at = last
	}
	share := p.chosen.duration
	if n := len(p.items); share == 0 && n > 1 {
		share = last / time.Duration(n-1)
	}
	if share == 0 {
		share = time.Second / defaultFPS
	}
	return p.items, share, nil
}

// sharpen takes the camera's own stamps, in nanoseconds, for the file's times, which
// are rounded to microseconds, as long as both tell the same: a timelapse is played
// at the file's times, and where the camera's clock was set the file's go on.
func (p *mkvParser) sharpen() {
	const rounding = 2 * time.Microsecond
	var base time.Duration
	known := false
	for i, c := range p.stamped {
		it := &p.items[i]
		if c == 0 {
			known = false
			continue
		}
		at := base + time.Duration(c)
		if d := at - it.at; !known || d > rounding || d < -rounding {
			base, known = it.at-time.Duration(c), true
			continue
		}
		it.at = at
	}
}

// element reads the header at pos. Size is -1 where it is unknown.
func (p *mkvParser) element(pos int64) (id uint64, size, body int64, ok bool) {
	var buf [12]byte
	b, err := p.src.read(pos, int(min(12, p.src.size-pos)), buf[:])
	if err != nil {
		return
	}
	id, n := vint(b, false)
	if n == 0 || n > 4 {
		return
	}
	v, m := vint(b[n:], true)
	if m == 0 {
		return
	}
	body = pos + int64(n+m)
	if v == 1<<(7*m)-1 {
		return id, -1, body, true
	}
	return id, int64(min(v, math.MaxInt64/2)), body, true
}

// vint reads a variable-length integer, without its length mark if value is set.
// The length is 0 if there is none.
func vint(b []byte, value bool) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = 1
	for mark := byte(0x80); b[0]&mark == 0; mark >>= 1 {
		n++
	}
	if len(b) < n {
		return 0, 0
	}
	v = uint64(b[0])
	if value {
		v &= 1<<(8-n) - 1
	}
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

func (p *mkvParser) uint(body, size int64) (v uint64, ok bool) {
	if size < 0 || size > 8 {
		return 0, false
	}
	b, err := p.src.read(body, int(size), nil)
	if err != nil {
		return 0, false
	}
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, true
}

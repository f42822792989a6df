package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/wire"
)

// A frame crosses the bus as one message, or as several when it is larger than
// the bus takes. Each begins with this header; a frame's first part goes on with
// the header that wire v1 has for it, then comes the picture. Little endian.
//
//	offset size
//	0      4    "FPB1"
//	4      2    number of this part, from 0
//	6      2    parts
//	8      8    session: a new one when the camera's counters, or ours, began anew
//	16     8    number of the frame among those that this receiver had, from 1
//	24     8    when it was delivered there, of that machine's monotonic clock
//	32     8    camera's clock minus that machine's
//	40     8    bound on its error, or -1: not known
//	48     4    size of the picture
//	52     1    1 if the camera's stream carries stamps
//	53     3    0
const headerSize = 56

// room is what a message needs beside the picture.
const room = headerSize + wire.FrameHeaderSize

var magic = [4]byte{'F', 'P', 'B', '1'}

// head is what a message's header says.
type head struct {
	part, parts int
	session     uint64
	number      uint64
	delivered   frame.SenderTime
	clock       clocksync.Offset
	size        int
	stamped     bool
}

func (h *head) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, magic[:]...)
	b = le.AppendUint16(b, uint16(h.part))
	b = le.AppendUint16(b, uint16(h.parts))
	b = le.AppendUint64(b, h.session)
	b = le.AppendUint64(b, h.number)
	b = le.AppendUint64(b, uint64(h.delivered))
	b = le.AppendUint64(b, uint64(h.clock.Offset))
	bound := int64(-1)
	if h.clock.Known {
		bound = int64(h.clock.Error)
	}
	b = le.AppendUint64(b, uint64(bound))
	b = le.AppendUint32(b, uint32(h.size))
	stamped := byte(0)
	if h.stamped {
		stamped = 1
	}
	return append(b, stamped, 0, 0, 0)
}

var errNoFrame = errors.New("not a frame of framepipe")

// maxError bounds what a peer may claim of its clock: beyond, nothing is known.
const maxError = time.Hour

func parse(b []byte) (h head, rest []byte, err error) {
	if len(b) < headerSize || [4]byte(b) != magic {
		return h, nil, errNoFrame
	}
	le := binary.LittleEndian
	h = head{part: int(le.Uint16(b[4:])), parts: int(le.Uint16(b[6:])), session: le.Uint64(b[8:]), number: le.Uint64(b[16:]),
		delivered: frame.SenderTime(le.Uint64(b[24:])), size: int(le.Uint32(b[48:])), stamped: b[52] == 1}
	if e := time.Duration(le.Uint64(b[40:])); e >= 0 && e < maxError {
		h.clock = clocksync.Offset{Offset: time.Duration(le.Uint64(b[32:])), Error: e, Known: true}
	}
	if h.part >= h.parts {
		return h, nil, fmt.Errorf("part %d of %d", h.part, h.parts)
	}
	return h, b[headerSize:], nil
}

// assembler puts a camera's frames together. Parts come in order; where one is
// missing, its frame is.
type assembler struct {
	max  int // bytes of a picture
	open *frame.Frame
	head head
	have int
	next int // part
}

// add takes a message and returns the frame that it completes, with its header.
// The message's memory belongs to the frame then.
func (a *assembler) add(b []byte) (*frame.Frame, *head, error) {
	h, rest, err := parse(b)
	if err != nil {
		return nil, nil, err
	}
	if h.part > 0 {
		if a.open == nil || h.part != a.next || h.number != a.head.number || h.session != a.head.session || len(rest) > h.size-a.have {
			a.open = nil
			return nil, nil, nil
		}
		a.have += copy(a.open.Data[a.have:], rest)
	} else if err := a.begin(h, rest); err != nil {
		a.open = nil
		return nil, nil, err
	}
	if a.next++; a.next < a.head.parts {
		return nil, nil, nil
	}
	f := a.open
	a.open = nil
	if f == nil || a.have != a.head.size {
		return nil, nil, errors.New("a frame is shorter than it says")
	}
	return f, &a.head, nil
}

func (a *assembler) begin(h head, rest []byte) error {
	if h.size > a.max {
		return fmt.Errorf("a frame of %d bytes, --max-frame allows %d", h.size, a.max)
	}
	if len(rest) < wire.FrameHeaderSize {
		return errNoFrame
	}
	var m frame.Meta
	if err := wire.ParseFrame(rest[wire.PrefixSize:wire.FrameHeaderSize], &m); err != nil {
		return err
	}
	data := rest[wire.FrameHeaderSize:]
	if len(data) > h.size {
		return errNoFrame
	}
	a.head, a.next, a.have = h, 0, len(data)
	if h.parts > 1 { // the message is not kept for the others to be copied behind it
		whole := make([]byte, h.size)
		copy(whole, data)
		data = whole
	}
	a.open = frame.New(data, nil)
	a.open.Meta = m
	return nil
}

// compose relates a camera's clock to ours by way of the receiver between.
func compose(camera, between clocksync.Offset) clocksync.Offset {
	if !camera.Known || !between.Known {
		return clocksync.Offset{}
	}
	return clocksync.Offset{Offset: camera.Offset + between.Offset, Error: camera.Error + between.Error, Known: true}
}

package web

import (
	"encoding/binary"
	"fmt"
	"time"

	"framepipe/frame"
)

// The messages of /cameras/NAME/ws, all little-endian, described for other
// clients in docs/page.md.
//
// Receiver to viewer: first a text message {"version":1,"viewer":ID,"camera":NAME},
// then once a second one with this viewer's entry of /state; and binary messages that begin with their version and kind.
//
//	frame  offset  size
//	       0       1     version, 1
//	       1       1     kind, 1
//	       2       2     length of this header, 80; the payload follows
//	       4       4     number of this message, from 1; acknowledgements name it
//	       8       8     seq: the camera's number of the frame
//	       16      8     captured, ns of the receiver's monotonic clock; 0 = unknown
//	       24      8     bound of its error, ns; -1 = unknown
//	       32      8     delivered: handed to the viewers, ns of the same clock
//	       40      8     sent: given to this connection, ns of the same clock
//	       48      4     format of the payload, FourCC; JPEG so far
//	       52      4     width in pixels; 0 = unknown
//	       56      4     height
//	       60      4     stride in bytes; 0 for compressed formats
//	       64      8     dropped: frames that this viewer did not get because newer ones came first, since it is there
//	       72      4     format that the camera sent, FourCC
//	       76      4     0
//	ping   0       1     version, 1
//	       1       1     kind, 2
//	       2       2     length, 24
//	       4       4     id
//	       8       8     0
//	       16      8     0
//
// Viewer to receiver: binary messages of 24 bytes; times are nanoseconds of any
// monotonic clock of the viewer.
//
//	ack    0  1  version, 1
//	       1  1  kind, 1
//	       2  1  result: 0 displayed, 1 overtaken by a newer frame, 2 not decodable
//	       3  1  0
//	       4  4  number of the frame's message
//	       8  8  drawn: decoded and drawn; 0 = unknown
//	       16 8  displayed; 0 = unknown
//	pong   1  1  kind, 2
//	       4  4  id of the ping
//	       8  8  when the ping came
//	       16 8  when this was sent
//	look   1  1  kind, 3
//	       2  1  1: frames are wanted (so it is at the start), 0: nobody looks
//	clock  1  1  kind, 4
//	       8  8  resolution of the viewer's clock, ns
const (
	wsVersion     = 1
	wsFrame       = 1
	wsPing        = 2
	wsFrameHeader = 80
	wsPingSize    = 24

	wsAck   = 1
	wsPong  = 2
	wsLook  = 3
	wsClock = 4
	wsSize  = 24
)

// Results of an acknowledgement.
const (
	ackShown = iota
	ackOvertaken
	ackFailed
	ackResults
)

// wsHeader is what is said about a frame beside the frame's own meta data.
type wsHeader struct {
	number   uint32
	captured frame.ReceiverTime
	bound    time.Duration // -1 = unknown
	sent     frame.ReceiverTime
	dropped  uint64
	source   frame.FourCC
}

func appendFrameHeader(b []byte, h *wsHeader, m *frame.Meta) []byte {
	le := binary.LittleEndian
	b = append(b, wsVersion, wsFrame, wsFrameHeader, 0)
	b = le.AppendUint32(b, h.number)
	b = le.AppendUint64(b, m.Seq)
	b = le.AppendUint64(b, uint64(h.captured))
	b = le.AppendUint64(b, uint64(h.bound))
	b = le.AppendUint64(b, uint64(m.Delivered))
	b = le.AppendUint64(b, uint64(h.sent))
	b = le.AppendUint32(b, uint32(m.Format))
	b = le.AppendUint32(b, uint32(m.Width))
	b = le.AppendUint32(b, uint32(m.Height))
	b = le.AppendUint32(b, uint32(m.Stride))
	b = le.AppendUint64(b, h.dropped)
	b = le.AppendUint32(b, uint32(h.source))
	return le.AppendUint32(b, 0)
}

func appendPing(b []byte, id uint32) []byte {
	b = append(b, wsVersion, wsPing, wsPingSize, 0)
	b = binary.LittleEndian.AppendUint32(b, id)
	return append(b, make([]byte, 16)...)
}

// wsMessage is a message of a viewer.
type wsMessage struct {
	kind byte
	flag byte   // ack: result; look: 1 or 0
	id   uint32 // ack: number of the frame's message; pong: id of the ping
	a, b int64  // ack: drawn, displayed; pong: came, sent; clock: resolution
}

// maxPageTime keeps sums of a viewer's times far from overflow: 200 years.
const maxPageTime = int64(200 * 365 * 24 * time.Hour)

// parseMessage reads a viewer's message, which is not trusted.
func parseMessage(b []byte) (m wsMessage, err error) {
	if len(b) != wsSize {
		return m, fmt.Errorf("a message of %d bytes, want %d", len(b), wsSize)
	}
	if b[0] != wsVersion {
		return m, fmt.Errorf("version %d, want %d", b[0], wsVersion)
	}
	le := binary.LittleEndian
	m = wsMessage{kind: b[1], flag: b[2], id: le.Uint32(b[4:]), a: int64(le.Uint64(b[8:])), b: int64(le.Uint64(b[16:]))}
	if m.a < 0 || m.b < 0 || m.a > maxPageTime || m.b > maxPageTime {
		return m, fmt.Errorf("times %d and %d ns are out of range", m.a, m.b)
	}
	switch {
	case m.kind == wsAck && m.flag < ackResults:
	case m.kind == wsPong && m.a > 0 && m.b >= m.a:
	case m.kind == wsLook && m.flag <= 1:
	case m.kind == wsClock && m.a > 0 && m.a <= int64(time.Second):
	default:
		return m, fmt.Errorf("message of kind %d with flag %d, times %d and %d", m.kind, m.flag, m.a, m.b)
	}
	return m, nil
}

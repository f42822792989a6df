package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Preamble opens each direction of a v1 connection: "FPW" and a byte that is
// neither ASCII nor UTF-8. As a v0 length it is 4,049,031,238.
var Preamble = [4]byte{'F', 'P', 'W', 0xf1}

// MaxFrameLimit is the largest frame size that any configuration may allow: far
// below Preamble read as a v0 length.
const MaxFrameLimit = 1 << 30

// Version is the version of v1's messages that this package writes. Versions
// differ only in fields and types added; see the package comment.
const Version = 1

// Type is a message's type.
type Type uint8

// The message types. S marks those that a sender writes, R a receiver.
const (
	TypeHello   Type = 1  // S: first message; who I am
	TypeWelcome Type = 2  // R: answer to Hello; what I have of you already
	TypeFrame   Type = 3  // S: a frame
	TypeAck     Type = 4  // R: a frame has arrived whole
	TypePing    Type = 5  // S R: clock exchange, first half
	TypePong    Type = 6  // S R: clock exchange, second half
	TypeControl Type = 7  // R: change settings
	TypeState   Type = 8  // S: what the camera really does now
	TypeBye     Type = 9  // S R: ordinary end, with the final count
	TypeReport  Type = 10 // S: counters while no frame carries them
)

var typeNames = map[Type]string{
	TypeHello: "HELLO", TypeWelcome: "WELCOME", TypeFrame: "FRAME", TypeAck: "ACK", TypePing: "PING",
	TypePong: "PONG", TypeControl: "CONTROL", TypeState: "STATE", TypeBye: "BYE", TypeReport: "REPORT",
}

func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// PrefixSize is the size of a message's prefix.
const PrefixSize = 8

// Limits on what is not a frame. MaxHeader bounds H for all types; MaxText
// bounds P for all types but TypeFrame.
const (
	MaxHeader = 4096
	MaxText   = 256 << 10
)

// Prefix is the first 8 bytes of every message.
type Prefix struct {
	Type    Type
	Header  int // bytes
	Payload int // bytes
}

// Errors that callers decide on; the returned ones wrap them with values.
var (
	ErrTooLarge = errors.New("message too large")
	ErrShort    = errors.New("header too short")
)

var le = binary.LittleEndian

// ParsePrefix reads a prefix and holds it against the limits, of which maxFrame
// bounds a frame's payload. b must hold PrefixSize bytes.
func ParsePrefix(b []byte, maxFrame int) (Prefix, error) {
	p := Prefix{Type: Type(b[0]), Header: int(le.Uint16(b[2:]))}
	n := le.Uint32(b[4:])
	limit := uint32(MaxText)
	if p.Type == TypeFrame {
		limit = uint32(maxFrame)
	}
	if p.Header > MaxHeader {
		return p, fmt.Errorf("wire: %w: %v header of %d bytes exceeds %d", ErrTooLarge, p.Type, p.Header, MaxHeader)
	}
	if n > limit {
		return p, fmt.Errorf("wire: %w: %v payload of %d bytes exceeds %d", ErrTooLarge, p.Type, n, limit)
	}
	p.Payload = int(n)
	return p, nil
}

// begin appends a prefix whose lengths end fills in.
func begin(dst []byte, t Type) []byte { return append(dst, byte(t), 0, 0, 0, 0, 0, 0, 0) }

// end writes the lengths of the message that begins at start: everything behind
// its prefix is header, and a payload of n bytes will follow.
func end(dst []byte, start, n int) []byte {
	le.PutUint16(dst[start+2:], uint16(len(dst)-start-PrefixSize))
	le.PutUint32(dst[start+4:], uint32(n))
	return dst
}

func short(t Type, h []byte, want int) error {
	return fmt.Errorf("wire: %v: %w: %d bytes, need %d", t, ErrShort, len(h), want)
}

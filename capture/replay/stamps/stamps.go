// Package stamps is what our recordings keep beside each picture: its number, all
// its stamps, and how the two clocks were related, so that a recording can be
// measured again, and replayed with the spacing that the camera gave it. In a
// Matroska file it is the BlockAdditional with BlockAddID 2; docs/recording.md
// describes it for others. It does no input or output.
package stamps

import (
	"encoding/binary"
	"time"

	"framepipe/frame"
)

// Size is the length of version 1 in bytes. Later versions may be longer; readers
// take what they know.
const Size = 96

const version = 1

// Stamps is one frame's entry. Zero is unknown.
type Stamps struct {
	Kind   frame.StampKind
	Source frame.FourCC // what the camera sent
	Seq    uint64       // the camera's number of the frame
	Wall   int64        // captured, or else arrived: nanoseconds since 1970 by the receiver's wall clock
	frame.SenderStamps
	frame.ReceiverStamps
	Offset time.Duration // sender's clock minus receiver's
	Error  time.Duration // bound of Offset's error; -1 = the relation is unknown
}

// Append writes s behind b: little-endian.
func Append(b []byte, s *Stamps) []byte {
	le := binary.LittleEndian
	b = append(b, version, byte(s.Kind))
	b = le.AppendUint16(b, Size)
	b = le.AppendUint32(b, uint32(s.Source))
	b = le.AppendUint64(b, s.Seq)
	b = le.AppendUint64(b, uint64(s.Wall))
	for _, t := range [...]frame.SenderTime{s.Captured, s.Dequeued, s.Encoded, s.SendStarted} {
		b = le.AppendUint64(b, uint64(t))
	}
	for _, t := range [...]frame.ReceiverTime{s.FirstByte, s.LastByte, s.Delivered} {
		b = le.AppendUint64(b, uint64(t))
	}
	b = le.AppendUint64(b, uint64(s.Offset))
	return le.AppendUint64(b, uint64(s.Error))
}

// Parse reads an entry; ok is false for what is none.
func Parse(b []byte) (s Stamps, ok bool) {
	le := binary.LittleEndian
	if len(b) < Size || b[0] < version || le.Uint16(b[2:]) < Size {
		return s, false
	}
	at := func(i int) int64 { return int64(le.Uint64(b[i:])) }
	s.Kind, s.Source, s.Seq, s.Wall = frame.StampKind(b[1]), frame.FourCC(le.Uint32(b[4:])), le.Uint64(b[8:]), at(16)
	s.Captured, s.Dequeued, s.Encoded, s.SendStarted = frame.SenderTime(at(24)), frame.SenderTime(at(32)), frame.SenderTime(at(40)), frame.SenderTime(at(48))
	s.FirstByte, s.LastByte, s.Delivered = frame.ReceiverTime(at(56)), frame.ReceiverTime(at(64)), frame.ReceiverTime(at(72))
	s.Offset, s.Error = time.Duration(at(80)), time.Duration(at(88))
	return s, true
}

package wire

import "framepipe/frame"

// Ack says that a frame arrived whole, and acknowledges all before it that
// arrived. Of frames that come faster than one a millisecond, a receiver may
// leave out all acks but the last.
//
// The time from FirstByte to LastByte and the bytes read in it are the
// receiver's measurement of the link's rate: free of round-trip time and of
// both clocks' offset.
//
//	offset size
//	0      8    sequence number
//	8      8    first read that returned a part of the frame, on the receiver's monotonic clock
//	16     8    read that completed it
//	24     8    frames received of this session, this one included
//	32     4    bytes of the frame read after that first read
//	36     4    0
type Ack struct {
	Seq       uint64
	FirstByte frame.ReceiverTime
	LastByte  frame.ReceiverTime
	Received  uint64
	Rest      uint32
}

// Append appends the whole message.
func (m *Ack) Append(dst []byte) []byte {
	start := len(dst)
	dst = begin(dst, TypeAck)
	dst = le.AppendUint64(dst, m.Seq)
	dst = le.AppendUint64(dst, uint64(m.FirstByte))
	dst = le.AppendUint64(dst, uint64(m.LastByte))
	dst = le.AppendUint64(dst, m.Received)
	dst = le.AppendUint32(dst, m.Rest)
	dst = append(dst, 0, 0, 0, 0)
	return end(dst, start, 0)
}

// Parse reads a header.
func (m *Ack) Parse(h []byte) error {
	if len(h) < 40 {
		return short(TypeAck, h, 40)
	}
	m.Seq = le.Uint64(h)
	m.FirstByte, m.LastByte = frame.ReceiverTime(le.Uint64(h[8:])), frame.ReceiverTime(le.Uint64(h[16:]))
	m.Received, m.Rest = le.Uint64(h[24:]), le.Uint32(h[32:])
	return nil
}

// Ping asks for a Pong at once. T1 is the asker's clock; it means nothing to the
// other side, which only echoes it.
//
//	offset size
//	0      8    id
//	8      8    t1, when the ping was written
type Ping struct {
	ID uint64
	T1 int64
}

// Append appends the whole message.
func (m *Ping) Append(dst []byte) []byte {
	start := len(dst)
	dst = begin(dst, TypePing)
	dst = le.AppendUint64(dst, m.ID)
	dst = le.AppendUint64(dst, uint64(m.T1))
	return end(dst, start, 0)
}

// Parse reads a header.
func (m *Ping) Parse(h []byte) error {
	if len(h) < 16 {
		return short(TypePing, h, 16)
	}
	m.ID, m.T1 = le.Uint64(h), int64(le.Uint64(h[8:]))
	return nil
}

// Pong answers a Ping: with T4, the asker's clock when it arrives, the four
// timestamps of RFC 5905, section 8.
//
//	offset size
//	0      8    id, as in the ping
//	8      8    t1, as in the ping
//	16     8    t2, when the ping was read, on the answering side's monotonic clock
//	24     8    t3, when the pong was written, on the same clock
type Pong struct {
	ID         uint64
	T1, T2, T3 int64
}

// Append appends the whole message.
func (m *Pong) Append(dst []byte) []byte {
	start := len(dst)
	dst = begin(dst, TypePong)
	dst = le.AppendUint64(dst, m.ID)
	dst = le.AppendUint64(dst, uint64(m.T1))
	dst = le.AppendUint64(dst, uint64(m.T2))
	dst = le.AppendUint64(dst, uint64(m.T3))
	return end(dst, start, 0)
}

// Parse reads a header.
func (m *Pong) Parse(h []byte) error {
	if len(h) < 32 {
		return short(TypePong, h, 32)
	}
	m.ID, m.T1 = le.Uint64(h), int64(le.Uint64(h[8:]))
	m.T2, m.T3 = int64(le.Uint64(h[16:])), int64(le.Uint64(h[24:]))
	return nil
}

// AppendControl appends prefix and header of a control message, whose payload of
// n bytes, Settings as JSON, follows. The sender answers with a state of the
// same id.
//
//	offset size
//	0      4    id, chosen by the receiver, not 0
//	4      4    0
func AppendControl(dst []byte, id uint32, n int) []byte { return appendID(dst, TypeControl, id, n) }

// AppendState appends prefix and header of a state message, whose payload of n
// bytes, a StateText as JSON, follows.
//
//	offset size
//	0      4    id of the control that it answers; 0 = something changed by itself
//	4      4    0
func AppendState(dst []byte, id uint32, n int) []byte { return appendID(dst, TypeState, id, n) }

func appendID(dst []byte, t Type, id uint32, n int) []byte {
	start := len(dst)
	dst = begin(dst, t)
	dst = le.AppendUint32(dst, id)
	dst = append(dst, 0, 0, 0, 0)
	return end(dst, start, n)
}

// ParseID reads the header of a control or state message.
func ParseID(t Type, h []byte) (uint32, error) {
	if len(h) < 8 {
		return 0, short(t, h, 8)
	}
	return le.Uint32(h), nil
}

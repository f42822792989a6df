package wire

import "framepipe/frame"

// Hello is a sender's first message; its payload is a HelloText as JSON.
//
//	offset size
//	0      2    version
//	2      6    0
//	8      8    session: random, the same as long as the sender's process lives
//	16     8    now, on the sender's monotonic clock
//	24          counts as in a frame's header
type Hello struct {
	Version uint16
	Session uint64
	Now     frame.SenderTime
	Counts  frame.Counts
}

// Append appends prefix and header; the payload of n bytes follows.
func (m *Hello) Append(dst []byte, n int) []byte {
	start := len(dst)
	dst = begin(dst, TypeHello)
	dst = le.AppendUint16(dst, m.Version)
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = le.AppendUint64(dst, m.Session)
	dst = le.AppendUint64(dst, uint64(m.Now))
	dst = appendCounts(dst, &m.Counts)
	return end(dst, start, n)
}

// Parse reads a header.
func (m *Hello) Parse(h []byte) error {
	if len(h) < 24 {
		return short(TypeHello, h, 24)
	}
	m.Version, m.Session, m.Now = le.Uint16(h), le.Uint64(h[8:]), frame.SenderTime(le.Uint64(h[16:]))
	return parseCounts(TypeHello, h[24:], &m.Counts)
}

// Welcome is a receiver's first message; its payload is a WelcomeText as JSON.
// LastSeq and Received tell a sender that comes back what arrived of this
// session before: it must not send older frames again, and can tell exactly how
// many the broken connection swallowed.
//
//	offset size
//	0      2    version
//	2      2    0
//	4      4    largest payload of a frame that the receiver accepts
//	8      8    session, as in the hello
//	16     8    last sequence number received of this session, 0 = none
//	24     8    number of frames received of this session
type Welcome struct {
	Version  uint16
	MaxFrame uint32
	Session  uint64
	LastSeq  uint64
	Received uint64
}

// Append appends prefix and header; the payload of n bytes follows.
func (m *Welcome) Append(dst []byte, n int) []byte {
	start := len(dst)
	dst = begin(dst, TypeWelcome)
	dst = le.AppendUint16(dst, m.Version)
	dst = append(dst, 0, 0)
	dst = le.AppendUint32(dst, m.MaxFrame)
	dst = le.AppendUint64(dst, m.Session)
	dst = le.AppendUint64(dst, m.LastSeq)
	dst = le.AppendUint64(dst, m.Received)
	return end(dst, start, n)
}

// Parse reads a header.
func (m *Welcome) Parse(h []byte) error {
	if len(h) < 32 {
		return short(TypeWelcome, h, 32)
	}
	m.Version, m.MaxFrame, m.Session = le.Uint16(h), le.Uint32(h[4:]), le.Uint64(h[8:])
	m.LastSeq, m.Received = le.Uint64(h[16:]), le.Uint64(h[24:])
	return nil
}

// Reason says why a connection ends.
type Reason uint16

// Reasons. Unknown ones are shown with the text that comes with them.
const (
	ReasonEnd      Reason = 0 // the sender's source ended, or its user stopped it
	ReasonDone     Reason = 1 // the receiver has what it wanted (its last record), or its user stopped it
	ReasonRefused  Reason = 2 // not authenticated or not allowed; trying again makes no sense
	ReasonProtocol Reason = 3 // the other side broke the protocol
	ReasonReplaced Reason = 4 // a newer connection of the same session took over
	ReasonBusy     Reason = 5 // no room for another camera now; trying again later makes sense
)

// Bye ends a connection in order; its payload is a text for people (UTF-8). The
// other side answers with a bye of its own and closes. A sender fills Counts, a
// receiver Received.
//
//	offset size
//	0      2    reason
//	2      6    0
//	8      8    frames received of this session
//	16          counts as in a frame's header
type Bye struct {
	Reason   Reason
	Received uint64
	Counts   frame.Counts
}

// Append appends prefix and header; the payload of n bytes follows.
func (m *Bye) Append(dst []byte, n int) []byte {
	start := len(dst)
	dst = begin(dst, TypeBye)
	dst = le.AppendUint16(dst, uint16(m.Reason))
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = le.AppendUint64(dst, m.Received)
	dst = appendCounts(dst, &m.Counts)
	return end(dst, start, n)
}

// Parse reads a header.
func (m *Bye) Parse(h []byte) error {
	if len(h) < 16 {
		return short(TypeBye, h, 16)
	}
	m.Reason, m.Received = Reason(le.Uint16(h)), le.Uint64(h[8:])
	return parseCounts(TypeBye, h[16:], &m.Counts)
}

// Report carries a sender's counters while no frame does: when its camera is
// gone or slow. It also shows that the sender lives.
//
//	offset size
//	0      8    now, on the sender's monotonic clock
//	8           counts as in a frame's header
type Report struct {
	Now    frame.SenderTime
	Counts frame.Counts
}

// Append appends the whole message.
func (m *Report) Append(dst []byte) []byte {
	start := len(dst)
	dst = begin(dst, TypeReport)
	dst = le.AppendUint64(dst, uint64(m.Now))
	dst = appendCounts(dst, &m.Counts)
	return end(dst, start, 0)
}

// Parse reads a header.
func (m *Report) Parse(h []byte) error {
	if len(h) < 8 {
		return short(TypeReport, h, 8)
	}
	m.Now = frame.SenderTime(le.Uint64(h))
	return parseCounts(TypeReport, h[8:], &m.Counts)
}

package wire

import "framepipe/frame"

// A frame's header. Stamps are nanoseconds of the sender's monotonic clock, 0 =
// unknown. The counters are those of frame.Counts as of this frame; n of them
// are by cause, in the order of frame.Cause, and more may be added.
//
//	offset size
//	0      8    sequence number, from 1; gaps are frames that were lost at the sender
//	8      8    captured
//	16     8    dequeued from the driver
//	24     8    encoded
//	32     8    send started
//	40     4    format, a V4L2 FourCC
//	44     2    width in pixels, 0 = unknown
//	46     2    height
//	48     4    stride of the first plane in bytes, 0 for JPEG
//	52     1    kind of the captured stamp (frame.StampKind)
//	53     3    0
//	56         counts:
//	56     2    n, number of causes that follow
//	58     6    0
//	64     8    offered: frames that the camera is known to have produced
//	72     8    sent: frames given to a connection, this one included
//	80     8n   lost, by cause
const frameFixed = 56

// FrameHeaderSize is the size of what AppendFrame writes.
const FrameHeaderSize = PrefixSize + frameFixed + countsSize

const (
	countsFixed = 24
	countsSize  = countsFixed + 8*int(frame.SenderCauses)
)

// AppendFrame appends prefix and header of a frame with n bytes of payload,
// which the caller writes right behind.
func AppendFrame(dst []byte, m *frame.Meta, n int) []byte {
	start := len(dst)
	dst = begin(dst, TypeFrame)
	dst = le.AppendUint64(dst, m.Seq)
	dst = le.AppendUint64(dst, uint64(m.Captured))
	dst = le.AppendUint64(dst, uint64(m.Dequeued))
	dst = le.AppendUint64(dst, uint64(m.Encoded))
	dst = le.AppendUint64(dst, uint64(m.SendStarted))
	dst = le.AppendUint32(dst, uint32(m.Format))
	dst = le.AppendUint16(dst, uint16(m.Width))
	dst = le.AppendUint16(dst, uint16(m.Height))
	dst = le.AppendUint32(dst, uint32(m.Stride))
	dst = append(dst, byte(m.StampKind), 0, 0, 0)
	dst = appendCounts(dst, &m.Counts)
	return end(dst, start, n)
}

// ParseFrame reads a frame's header into m, whose receiver stamps it leaves alone.
func ParseFrame(h []byte, m *frame.Meta) error {
	if len(h) < frameFixed+countsFixed {
		return short(TypeFrame, h, frameFixed+countsFixed)
	}
	m.Seq = le.Uint64(h)
	m.Captured = frame.SenderTime(le.Uint64(h[8:]))
	m.Dequeued = frame.SenderTime(le.Uint64(h[16:]))
	m.Encoded = frame.SenderTime(le.Uint64(h[24:]))
	m.SendStarted = frame.SenderTime(le.Uint64(h[32:]))
	m.Format = frame.FourCC(le.Uint32(h[40:]))
	m.Width = int(le.Uint16(h[44:]))
	m.Height = int(le.Uint16(h[46:]))
	m.Stride = int(le.Uint32(h[48:]) & 0x7fffffff)
	m.StampKind = frame.StampKind(h[52])
	return parseCounts(TypeFrame, h[frameFixed:], &m.Counts)
}

func appendCounts(dst []byte, c *frame.Counts) []byte {
	dst = le.AppendUint16(dst, uint16(len(c.Lost)))
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = le.AppendUint64(dst, c.Offered)
	dst = le.AppendUint64(dst, c.Sent)
	for _, v := range c.Lost {
		dst = le.AppendUint64(dst, v)
	}
	return dst
}

// parseCounts reads a counts block. Causes that a newer sender added are added
// to those of corrupt frames, the nearest that this version has, so that the
// ledger still balances.
func parseCounts(t Type, h []byte, c *frame.Counts) error {
	if len(h) < countsFixed {
		return short(t, h, countsFixed)
	}
	n := int(le.Uint16(h))
	if len(h) < countsFixed+8*n {
		return short(t, h, countsFixed+8*n)
	}
	*c = frame.Counts{Offered: le.Uint64(h[8:]), Sent: le.Uint64(h[16:])}
	for i := range n {
		v := le.Uint64(h[countsFixed+8*i:])
		if i < len(c.Lost) {
			c.Lost[i] = v
		} else {
			c.Lost[frame.LostCorrupt] += v
		}
	}
	return nil
}

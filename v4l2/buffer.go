package v4l2

// Buffer flags (struct v4l2_buffer).
const (
	BufFlagError         = 0x00000040
	bufFlagTimestampMask = 0x0000e000
	bufFlagMonotonic     = 0x00002000
	bufFlagCopy          = 0x00004000
	bufFlagSourceMask    = 0x00070000
	bufFlagSourceSOE     = 0x00010000
)

// Clock is what a driver says about a buffer's time stamp.
type Clock uint8

// Clocks.
const (
	ClockUnknown   Clock = iota
	ClockMonotonic       // CLOCK_MONOTONIC
	ClockCopy            // copied from an output buffer: whatever that carried
)

func (c Clock) String() string {
	return [...]string{"unknown", "monotonic", "copy"}[min(c, 2)]
}

// Buffer is what the driver says about a filled buffer.
type Buffer struct {
	Index      int
	BytesUsed  int // bytes of Data that are filled, DataOffset included
	DataOffset int // where the picture begins (multi-planar only)
	Flags      uint32
	Field      uint32
	Sequence   uint32
	Timestamp  int64 // nanoseconds of Clock
}

// Damaged reports whether the driver flagged the frame (V4L2_BUF_FLAG_ERROR).
func (b *Buffer) Damaged() bool { return b.Flags&BufFlagError != 0 }

// Clock is the clock that the driver says Timestamp is of.
func (b *Buffer) Clock() Clock {
	switch b.Flags & bufFlagTimestampMask {
	case bufFlagMonotonic:
		return ClockMonotonic
	case bufFlagCopy:
		return ClockCopy
	}
	return ClockUnknown
}

// StartOfExposure reports whether Timestamp is of the exposure's start; if not,
// it is of the moment when the last pixel was received.
func (b *Buffer) StartOfExposure() bool { return b.Flags&bufFlagSourceMask == bufFlagSourceSOE }

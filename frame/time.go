package frame

import "time"

// SenderTime is a moment on the camera's machine: nanoseconds of its
// CLOCK_MONOTONIC, the clock that V4L2 and libcamera stamp frames with.
// Zero is unknown.
type SenderTime int64

// ReceiverTime is a moment on the viewer's machine: nanoseconds of its
// CLOCK_MONOTONIC. Zero is unknown.
type ReceiverTime int64

// Sub is t-u. Both must be known.
func (t SenderTime) Sub(u SenderTime) time.Duration { return time.Duration(t - u) }

// Sub is t-u. Both must be known.
func (t ReceiverTime) Sub(u ReceiverTime) time.Duration { return time.Duration(t - u) }

// SenderNow reads the monotonic clock on the camera's machine.
func SenderNow() SenderTime { return SenderTime(MonotonicNow()) }

// ReceiverNow reads the monotonic clock on the viewer's machine.
func ReceiverNow() ReceiverTime { return ReceiverTime(MonotonicNow()) }

// processStart and monotonicBase tie Go's own monotonic reading, which cannot
// be read as a number, to the kernel's. On Linux both are CLOCK_MONOTONIC and
// their difference is constant, so a stamp costs one time.Since rather than a
// system call and still compares with a driver's.
var (
	processStart  = time.Now()
	monotonicBase = readMonotonicBase()
)

// MonotonicNow is this machine's monotonic clock in nanoseconds: on Linux equal
// to clock_gettime(CLOCK_MONOTONIC), elsewhere counted from an arbitrary moment
// before the process started. It is never zero.
func MonotonicNow() int64 { return monotonicBase + int64(time.Since(processStart)) }

// StampKind tells which instant Stamps.Captured marks.
type StampKind uint8

const (
	StampUnknown  StampKind = iota
	StampStart              // start of exposure (V4L2_BUF_FLAG_TSTAMP_SRC_SOE)
	StampEnd                // end of frame: the last pixel was received (V4L2_BUF_FLAG_TSTAMP_SRC_EOF)
	StampTick               // the synthetic camera's tick, or the recorded stamp of a replay
	StampArrival            // not the camera's: when its data reached this program
	StampReadout            // start of readout, that is end of exposure of the first row (libcamera's SensorTimestamp)
	numStampKinds           // keep last
)

var stampKindNames = [numStampKinds]string{"unknown", "start-of-exposure", "end-of-frame", "tick", "arrival", "readout"}

func (k StampKind) String() string {
	if k < numStampKinds {
		return stampKindNames[k]
	}
	return "unknown"
}

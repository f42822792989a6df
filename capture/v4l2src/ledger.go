package v4l2src

import "framepipe/frame"

// ledger turns the driver's sequence numbers into the frame's own count and its
// losses.
type ledger struct {
	frame.Counts
	interval int64 // nominal, in ns; 0 = unknown
	started  bool
	last     uint32
	lastAt   int64
}

// restart forgets the driver's numbering, as after STREAMON.
func (l *ledger) restart() { l.started = false }

// arrive counts a frame that was dequeued at now (ns), and those missing before
// it.
//
// Drivers' numbers are not to be trusted blindly: vivid's step back or repeat
// under load, and a driver that resets jumps. A step of less than one is a frame
// without a gap; so is a jump that would need more frames than there was time for.
func (l *ledger) arrive(seq uint32, now int64) {
	if l.started {
		step := int64(int32(seq - l.last))
		most := int64(1 << 16)
		if l.interval > 0 {
			most = 2*(now-l.lastAt)/l.interval + 16
		}
		if step > 1 && step-1 <= most {
			l.Offered += uint64(step - 1)
			l.Lost[frame.LostGap] += uint64(step - 1)
		}
	}
	l.Offered++
	l.started, l.last, l.lastAt = true, seq, now
}

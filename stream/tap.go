package stream

import (
	"framepipe/clocksync"
	"framepipe/frame"
)

// Tap is told what a feed's own meter is told, in the same order and on the same
// goroutines, from the moment it is set: an experiment measures each of its
// settings with a meter of its own, while the camera stays connected. Its methods
// are on the frame path and must not wait.
type Tap interface {
	Frame(f *frame.Meta, size int, stamped bool, o clocksync.Offset)
	Refused(c *frame.Counts, stamped bool)
	Counts(c *frame.Counts)
}

// SetTap makes t the feed's tap; nil removes it. A frame that is being delivered
// meanwhile may still reach the one before.
func (f *Feed) SetTap(t Tap) {
	if t == nil {
		f.tap.Store(nil)
		return
	}
	f.tap.Store(&t)
}

func (f *Feed) measured(fr *frame.Frame, stamped bool, o clocksync.Offset) {
	f.Meter.Frame(&fr.Meta, len(fr.Data), stamped, o)
	if t := f.tap.Load(); t != nil {
		(*t).Frame(&fr.Meta, len(fr.Data), stamped, o)
	}
	if f.frameLog != nil {
		f.frameLog.Frame(f.name, &fr.Meta, len(fr.Data), stamped, o)
	}
}

func (f *Feed) refused(c *frame.Counts, stamped bool) {
	f.Meter.Refused(c, stamped)
	if t := f.tap.Load(); t != nil {
		(*t).Refused(c, stamped)
	}
}

func (f *Feed) counted(c *frame.Counts) {
	f.Meter.Counts(c)
	if t := f.tap.Load(); t != nil {
		(*t).Counts(c)
	}
}

package stream

import (
	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/wire"
)

// Relay is a camera of another receiver, whose frames come over a bus: from here
// on they are shown, recorded and measured as if the camera were connected here.
// Its methods are called by one goroutine.
type Relay struct {
	feed  *Feed
	clock clocksync.Offset // guarded by feed.mu; the camera's clock and this machine's
}

// Relay adds a camera of another receiver.
func (r *Receiver) Relay(name string) (*Relay, *Feed, error) {
	l := new(Relay)
	f, err := r.own(name, l)
	if err != nil {
		return nil, nil, err
	}
	l.feed = f
	return l, f, nil
}

// Session begins a new life of the sender, or of the receiver between.
func (l *Relay) Session() { l.feed.Meter.Session(nil) }

// Put delivers a frame whose receiver stamps FirstByte and LastByte are of this
// machine; it takes over the caller's reference. Stamped says whether the camera's
// stream carries stamps, o relates the camera's clock to this machine's, and lost
// is how many frames the other receiver had since the last one that came.
func (l *Relay) Put(f *frame.Frame, stamped bool, o clocksync.Offset, lost uint64) {
	l.feed.mu.Lock()
	l.clock = o
	l.feed.mu.Unlock()
	if lost > 0 {
		l.feed.Meter.Bus(lost, stamped)
	}
	f.Delivered = frame.ReceiverNow()
	l.feed.Hub.Publish(f)
	l.feed.measured(f, stamped, o)
	f.Release()
}

// SetState publishes what the camera does now, and why it is not there; "" = it is.
func (l *Relay) SetState(st wire.StateText, gone string) { (&Local{feed: l.feed}).SetState(st, gone) }

// End says that the camera, or the receiver between, ended in order.
func (l *Relay) End(why string) {
	l.feed.Meter.End(frame.ReceiverNow())
	l.SetState(l.feed.Brief().Camera, why)
}

// Relayed reports whether a feed comes from another receiver.
func (f *Feed) Relayed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.relay != nil
}

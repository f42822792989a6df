package stream

import (
	"context"
	"fmt"
	"time"

	"framepipe/frame"
	"framepipe/wire"
)

// Local is a camera on the receiver's own machine: its frames go from the
// capture loop straight to the viewers. It takes frames as a Mailbox does.
type Local struct {
	feed *Feed
	sent uint64 // owned by the capture loop
}

// Local adds a camera on this machine. Its frames are measured with no clock
// error, there being one clock only.
func (r *Receiver) Local(name string) (*Local, *Feed, error) {
	f, err := r.own(name, nil)
	if err != nil {
		return nil, nil, err
	}
	return &Local{feed: f}, f, nil
}

// own makes a feed that no connection of ours feeds.
func (r *Receiver) own(name string, relay *Relay) (*Feed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name = SafeName(name)
	for i := 2; ; i++ {
		taken := false
		for _, f := range r.feeds {
			taken = taken || f.name == name
		}
		if !taken {
			break
		}
		name = fmt.Sprintf("%s-%d", SafeName(name), i)
	}
	if len(r.feeds) >= r.cfg.MaxCameras && !r.evict() {
		r.limits[limitCameras].Add(1)
		return nil, errTooMany
	}
	f := r.newFeed(name)
	f.local, f.relay = true, relay
	signal(r.came)
	if r.cfg.Opened != nil {
		r.cfg.Opened(f)
	}
	return f, nil
}

// Put delivers a frame; it takes over the caller's reference.
func (l *Local) Put(f *frame.Frame) {
	l.sent++
	f.Counts.Sent = l.sent
	f.SendStarted = f.Encoded
	f.FirstByte = frame.ReceiverTime(frame.SenderNow()) // one machine, one clock
	f.LastByte = f.FirstByte
	l.feed.deliver(f, true, nil)
	f.Release()
}

// WaitIdle returns at once: delivering never waits.
func (l *Local) WaitIdle(ctx context.Context, _ bool) error { return ctx.Err() }

// Account books what the source counted since its last frame.
func (l *Local) Account(c frame.Counts) {
	c.Sent = l.sent
	l.feed.counted(&c)
}

// SetState publishes what the camera does now, and whether it is there.
func (l *Local) SetState(st wire.StateText, gone string) {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	l.feed.state = st
	if gone != l.feed.gone {
		l.feed.gone, l.feed.since = gone, time.Now()
	}
}

// SetControl makes Feed.Control work for a local camera.
func (l *Local) SetControl(f func(context.Context, wire.Settings) wire.StateText) {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	l.feed.control = f
}

// End says that the source ended in order.
func (l *Local) End(why string) {
	l.feed.Meter.End(frame.ReceiverNow())
	l.SetState(l.feed.Status().Camera, why)
}

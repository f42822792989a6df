package stream

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"framepipe/frame"
)

// Hub hands each frame to every viewer of one camera. The frame is shared, not
// copied; each viewer has a slot for one frame, in which the newest wins, so a
// slow viewer loses frames and slows nobody. The zero value is ready.
type Hub struct {
	mu      sync.Mutex
	viewers []*Viewer // guarded by mu
	direct  []*Viewer // guarded by mu; those with now. Replaced, never changed
}

// Publish offers f to all viewers. The caller keeps its reference.
func (h *Hub) Publish(f *frame.Frame) {
	h.mu.Lock()
	direct := h.direct
	for _, v := range h.viewers {
		if v.now == nil {
			v.put(f.Retain())
		}
	}
	h.mu.Unlock()
	for _, v := range direct { // after the others, who have goroutines to be woken
		if !v.now(f) {
			v.putIfOpen(f)
		}
	}
}

// Subscribe adds a viewer, who gets the frames published from now on. Close it.
func (h *Hub) Subscribe() *Viewer {
	return h.SubscribeDirect(nil)
}

// SubscribeDirect adds a viewer whose function now is offered each frame first, on
// the goroutine that publishes: what can be done there at once needs nobody woken. It
// must not wait for anything and be done within two milliseconds; it reports false for a
// frame that it leaves to Next and TryNext. It may be called for a frame that is just
// being published when Close returns.
func (h *Hub) SubscribeDirect(now func(*frame.Frame) bool) *Viewer {
	v := &Viewer{hub: h, now: now, ready: make(chan struct{}, 1), people: 1}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers = append(h.viewers, v)
	if now != nil {
		h.direct = append(slices.Clone(h.direct), v)
	}
	return v
}

// Viewers is how many look: each subscriber counts as one, or as many as it says.
func (h *Hub) Viewers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, v := range h.viewers {
		n += v.people
	}
	return n
}

// Viewer is one subscriber of a Hub. Next is called by one goroutine.
type Viewer struct {
	hub    *Hub
	now    func(*frame.Frame) bool // nil = every frame goes into the slot
	slot   atomic.Pointer[frame.Frame]
	ready  chan struct{}
	people int  // guarded by hub.mu
	closed bool // guarded by hub.mu

	dropped atomic.Uint64
}

func (v *Viewer) put(f *frame.Frame) {
	if old := v.slot.Swap(f); old != nil {
		old.Release()
		v.dropped.Add(1)
	}
	signal(v.ready)
}

// putIfOpen is put for a viewer that may have been closed meanwhile.
func (v *Viewer) putIfOpen(f *frame.Frame) {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	if !v.closed {
		v.put(f.Retain())
	}
}

// Next returns the newest frame that this viewer has not seen, waiting for one.
// The caller releases it.
func (v *Viewer) Next(ctx context.Context) (*frame.Frame, error) {
	for {
		if f := v.slot.Swap(nil); f != nil {
			return f, nil
		}
		select {
		case <-v.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Ready has a token when a frame may be waiting, for callers that wait for
// several things; TryNext then takes it.
func (v *Viewer) Ready() <-chan struct{} { return v.ready }

// Waiting reports whether a frame waits.
func (v *Viewer) Waiting() bool { return v.slot.Load() != nil }

// TryNext returns the waiting frame or nil.
func (v *Viewer) TryNext() *frame.Frame { return v.slot.Swap(nil) }

// StandFor says for how many this one takes the frames.
func (v *Viewer) StandFor(people int) {
	v.hub.mu.Lock()
	v.people = people
	v.hub.mu.Unlock()
}

// Dropped is how many frames were replaced before this viewer took them.
func (v *Viewer) Dropped() uint64 { return v.dropped.Load() }

// Close ends the subscription.
func (v *Viewer) Close() {
	h := v.hub
	h.mu.Lock()
	is := func(o *Viewer) bool { return o == v }
	h.viewers = slices.DeleteFunc(h.viewers, is)
	h.direct = slices.DeleteFunc(slices.Clone(h.direct), is)
	v.closed = true
	h.mu.Unlock()
	if f := v.slot.Swap(nil); f != nil {
		f.Release()
	}
}

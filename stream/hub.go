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
}

// Publish offers f to all viewers. The caller keeps its reference.
func (h *Hub) Publish(f *frame.Frame) {
	h.mu.Lock()
	for _, v := range h.viewers {
		v.put(f.Retain())
	}
	h.mu.Unlock()
}

// Subscribe adds a viewer, who gets the frames published from now on. Close it.
func (h *Hub) Subscribe() *Viewer {
	v := &Viewer{hub: h, ready: make(chan struct{}, 1), people: 1}
	h.mu.Lock()
	h.viewers = append(h.viewers, v)
	h.mu.Unlock()
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
	slot   atomic.Pointer[frame.Frame]
	ready  chan struct{}
	people int // guarded by hub.mu

	dropped atomic.Uint64
}

func (v *Viewer) put(f *frame.Frame) {
	if old := v.slot.Swap(f); old != nil {
		old.Release()
		v.dropped.Add(1)
	}
	signal(v.ready)
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
	h.viewers = slices.DeleteFunc(h.viewers, func(o *Viewer) bool { return o == v })
	h.mu.Unlock()
	if f := v.slot.Swap(nil); f != nil {
		f.Release()
	}
}

package stream

import (
	"sync"
	"sync/atomic"
	"testing"

	"framepipe/frame"
)

// What a direct viewer takes never reaches its slot, what it refuses does.
func TestDirectViewer(t *testing.T) {
	var h Hub
	var pool frame.Pool
	var took []uint64
	v := h.SubscribeDirect(func(f *frame.Frame) bool {
		if f.Seq%3 == 0 {
			return false
		}
		took = append(took, f.Seq)
		return true
	})
	other := h.Subscribe()
	for seq := range uint64(7) {
		f := pool.Get(1)
		f.Seq = seq + 1
		h.Publish(f)
		f.Release()
		if got := v.Waiting(); got != (seq+1 >= 3) {
			t.Errorf("frame %d waits: %v", seq+1, got)
		}
		if f := other.TryNext(); f == nil || f.Seq != seq+1 {
			t.Fatalf("the other viewer got %v", f)
		} else {
			f.Release()
		}
	}
	if len(took) != 5 {
		t.Errorf("took %v", took)
	}
	if f := v.TryNext(); f == nil || f.Seq != 6 {
		t.Errorf("%v waits", f)
	} else {
		f.Release()
	}
	if v.Dropped() != 1 {
		t.Errorf("%d dropped, want frame 3", v.Dropped())
	}
	v.Close()
	other.Close()
	if n := pool.Out(); n != 0 {
		t.Errorf("%d frames are still held", n)
	}
}

// Viewers that come and go while frames are published hold none of them afterwards.
func TestHubHoldsNothing(t *testing.T) {
	var h Hub
	var pool frame.Pool
	var stop atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for seq := uint64(1); !stop.Load(); seq++ {
			f := pool.Get(1)
			f.Seq = seq
			h.Publish(f)
			f.Release()
		}
	})
	var comers sync.WaitGroup
	for i := range 3 {
		comers.Go(func() {
			for range 2000 {
				var last uint64
				take := func(f *frame.Frame) bool {
					if f.Seq <= last {
						t.Errorf("frame %d after %d", f.Seq, last)
					}
					last = f.Seq
					return i == 0 || f.Seq%2 == 0
				}
				v := h.SubscribeDirect(take)
				if f := v.TryNext(); f != nil {
					f.Release()
				}
				v.Close()
			}
		})
	}
	comers.Wait()
	stop.Store(true)
	all.Wait()
	if n := pool.Out(); n != 0 {
		t.Errorf("%d frames are still held", n)
	}
	if h.Viewers() != 0 {
		t.Errorf("%d viewers", h.Viewers())
	}
}

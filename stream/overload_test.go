package stream

import (
	"context"
	"encoding/binary"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/frame"
)

// overload runs a camera against a link that carries half of what it gives.
type overload struct {
	policy  string
	v0      bool
	length  time.Duration
	outages time.Duration // one second without a link, so often; 0 = never

	delivered int
	lost      uint64
	rescues   uint64
	oldest    time.Duration // largest age of the newest frame shown, outages apart
	inOutage  time.Duration // the same, in the 3 s after an outage began
	heap      []uint64      // live bytes, each twelfth of the run
	routines  []int
}

func (o *overload) run(t *testing.T) {
	const (
		size = 60_000
		fps  = 30
		rate = size * fps / 2 // bytes/s
	)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		link := newSimLink(rate, 5*time.Millisecond, 1<<20)
		recv := NewReceiver(ReceiverConfig{})
		received := make(chan error, 1)
		go func() { received <- recv.Run(ctx, link) }()
		policy, err := ParsePolicy(o.policy)
		if err != nil {
			t.Fatal(err)
		}
		s := newTestSender(t, SenderConfig{Address: "sim", Dial: link.dial, Policy: policy, V0: o.v0})
		s.cfg.Log = recv.cfg.Log // an hour of lines is of no use
		sent := make(chan error, 1)
		go func() { sent <- s.Run(ctx) }()
		time.Sleep(time.Second)

		src := &source{box: s.Mailbox(), data: padded(size)}
		src.stamp()
		src.put() // v0 says no name: a camera exists from its first frame on
		time.Sleep(time.Second)
		if len(recv.Feeds()) != 1 {
			t.Fatal("the camera did not connect")
		}
		feed := recv.Feeds()[0]
		viewer := feed.Hub.Subscribe()
		defer viewer.Close()
		start := time.Now()
		var cut atomic.Pointer[time.Time]        // when the last outage began
		shown := frame.SenderTime(math.MinInt64) // simulated time is before this process's start
		look := func() {                         // both sides have one clock here
			age := time.Duration(frame.SenderNow() - shown)
			switch {
			case shown == math.MinInt64:
			case cut.Load() != nil && time.Since(*cut.Load()) < 3*time.Second:
				o.inOutage = max(o.inOutage, age)
			default:
				o.oldest = max(o.oldest, age)
			}
		}
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			for {
				f, err := viewer.Next(ctx)
				if err != nil {
					return
				}
				look()
				at := stamped(f)
				if at <= shown {
					t.Errorf("a frame of %v was shown after one of %v", at, shown)
				}
				shown = at
				o.delivered++
				f.Release()
			}
		}()
		tick := time.NewTicker(time.Second / fps)
		measure := o.length / 12
		next := start.Add(measure)
		outage := start.Add(o.outages)
		for time.Since(start) < o.length {
			<-tick.C
			src.stamp()
			src.put()
			if o.outages > 0 && time.Now().After(outage) {
				outage = outage.Add(o.outages)
				now := time.Now()
				cut.Store(&now)
				link.outage(time.Second)
			}
			if time.Now().After(next) {
				next = next.Add(measure)
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				o.heap = append(o.heap, m.HeapAlloc)
				o.routines = append(o.routines, runtime.NumGoroutine())
			}
		}
		tick.Stop()
		s.End()
		if err := <-sent; err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		cancel()
		<-looked
		if err := <-received; err != nil {
			t.Error(err)
		}
		o.rescues = s.Stats().Rescues
		ledger := feed.Meter.Ledger()
		if ledger.Imbalance() != 0 {
			t.Errorf("the ledger does not balance: %+v", ledger)
		}
		for _, n := range ledger.Lost {
			o.lost += n
		}
		if got := uint64(o.delivered) + o.lost; got > src.counts.Offered {
			t.Errorf("%d frames shown and %d lost of %d", o.delivered, o.lost, src.counts.Offered)
		}
		if n := src.pool.Out(); n != 0 {
			t.Errorf("%d frames were never released", n)
		}
	})
}

// stamp puts the time into the payload's last bytes, since v0 carries none.
func (s *source) stamp() {
	binary.BigEndian.PutUint64(s.data[len(s.data)-8:], uint64(frame.SenderNow()))
}

func stamped(f *frame.Frame) frame.SenderTime {
	return frame.SenderTime(binary.BigEndian.Uint64(f.Data[len(f.Data)-8:]))
}

// An hour in which the camera gives twice what the link carries, with the link
// gone for a second every five minutes: memory stays flat and frames stay fresh.
func TestAnHourOfOverload(t *testing.T) {
	o := &overload{policy: "gated", length: time.Hour, outages: 5 * time.Minute}
	if raceEnabled || testing.Short() {
		o.length, o.outages = 6*time.Minute, time.Minute
	}
	o.run(t)
	t.Logf("delivered %d, lost %d, rescues %d, oldest %v, in outages %v, heap %v, goroutines %v", o.delivered, o.lost, o.rescues, o.oldest, o.inOutage, o.heap, o.routines)
	if want := int(0.9 * 15 * o.length.Seconds()); o.delivered < want {
		t.Errorf("%d frames were delivered of %d that the link could carry", o.delivered, int(15*o.length.Seconds()))
	}
	// One frame is 67 ms on this link: one on the way, one in the gate's two
	// bandwidth-delay products, and the gap to the next.
	if o.oldest > 300*time.Millisecond {
		t.Errorf("a frame was shown until it was %v old", o.oldest)
	}
	if o.inOutage > 1500*time.Millisecond {
		t.Errorf("with an outage of 1 s a frame was shown until it was %v old", o.inOutage)
	}
	first, last := o.heap[1], o.heap[len(o.heap)-1]
	if last > first+1<<20 {
		t.Errorf("live memory grew from %d to %d bytes", first, last)
	}
	if a, b := o.routines[1], o.routines[len(o.routines)-1]; b > a+4 {
		t.Errorf("goroutines grew from %d to %d", a, b)
	}

	// The yardstick: what the same camera and link do when the kernel's buffer decides.
	// (v0, as the origin; and a v1 sender holds a lock while it writes, for which simulated
	// time does not pass.)
	b := &overload{policy: "block", v0: true, length: 2 * time.Minute}
	b.run(t)
	t.Logf("block: delivered %d, oldest %v", b.delivered, b.oldest)
	if b.oldest < 3*o.oldest {
		t.Errorf("block shows frames of up to %v, gated %v: the test's link holds no queue", b.oldest, o.oldest)
	}
}

package stream

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/frame"
)

// Thirty hours in simulated time: a frame a second, the link gone for ten seconds
// six times, the frames' numbers passing 2^32. Nothing grows, the ledger
// balances, the clocks stay related.
func TestThirtyHours(t *testing.T) {
	if raceEnabled {
		t.Skip("thirty hours are days under the race detector; run without -race")
	}
	length := 30 * time.Hour
	if testing.Short() {
		length = 3 * time.Hour
	}
	const outages = 6 // in all
	type sample struct {
		heap     uint64
		routines int
		drift    float64
		err      time.Duration
	}
	var samples []sample
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		link := newSimLink(1<<20, 5*time.Millisecond, 1<<20)
		recv := NewReceiver(ReceiverConfig{})
		received := make(chan error, 1)
		go func() { received <- recv.Run(ctx, link) }()
		s := newTestSender(t, SenderConfig{Address: "sim", Dial: link.dial})
		s.cfg.Log = recv.cfg.Log // thirty hours of lines are of no use
		src := &source{box: s.Mailbox(), data: padded(2000)}
		const before = 1<<32 - 1000
		src.counts.Offered, src.counts.Lost[frame.LostGap] = before, before
		s.Mailbox().Account(src.counts)
		sent := make(chan error, 1)
		go func() { sent <- s.Run(ctx) }()
		time.Sleep(2 * time.Second)
		if len(recv.Feeds()) != 1 {
			t.Fatal("the camera did not connect")
		}
		feed := recv.Feeds()[0]
		start := time.Now()
		next, outage := start.Add(length/12), start.Add(length/(outages+1))
		for time.Since(start) < length {
			time.Sleep(time.Second)
			src.put()
			if time.Now().After(outage) && time.Since(start) < length-time.Minute {
				outage = outage.Add(length / (outages + 1))
				link.outage(10 * time.Second)
			}
			if time.Now().After(next) {
				next = next.Add(length / 12)
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				x := sample{heap: m.HeapAlloc, routines: runtime.NumGoroutine(), err: feed.Clock().Error}
				if st := feed.Status(); st.Clock != nil && st.Clock.DriftPPM != nil {
					x.drift = *st.Clock.DriftPPM
				} else {
					t.Error("the clocks are not related")
				}
				samples = append(samples, x)
			}
		}
		s.End()
		if err := <-sent; err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		l := feed.Meter.Ledger()
		offered := src.counts.Offered - before
		if l.Imbalance() != 0 || l.Offered != offered || l.Delivered < offered*99/100 {
			t.Errorf("%d frames were offered; the ledger says %+v", offered, l)
		}
		if seq := feed.Status().Live.Seq; seq <= 1<<32 {
			t.Errorf("the last frame is %d", seq)
		}
		if n := len(feed.Records()); n > KeptRecords || n < min(KeptRecords, int(length/(10*time.Second))-10) {
			t.Errorf("%d records are kept", n)
		}
		if n := src.pool.Out(); n != 0 {
			t.Errorf("%d frames were never released", n)
		}
		cancel()
		if err := <-received; err != nil {
			t.Error(err)
		}
		t.Logf("ledger %+v, %d connections, %d rescues", l, s.Stats().Connects, s.Stats().Rescues)
	})
	t.Logf("%+v", samples)
	first, last := samples[2], samples[len(samples)-1]
	if last.heap > first.heap+1<<20 {
		t.Errorf("live memory grew from %d to %d bytes", first.heap, last.heap)
	}
	if last.routines > first.routines+4 {
		t.Errorf("goroutines grew from %d to %d", first.routines, last.routines)
	}
	for _, x := range samples[2:] {
		if x.err > time.Second || x.drift > 100 || x.drift < -100 { // the simulated clocks are one
			t.Errorf("clock: error bound %v, drift %.1f ppm", x.err, x.drift)
		}
	}
}

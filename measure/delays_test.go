package measure

import (
	"testing"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
)

func TestDelaysFallIntoTheirBuckets(t *testing.T) {
	var d Delays
	for _, v := range []time.Duration{-time.Second, 0, 100 * time.Microsecond, 100*time.Microsecond + 1, time.Second, time.Second + 1, 10 * time.Second, time.Hour} {
		d.add(v)
	}
	last := len(DelayBounds)
	want := map[int]uint64{0: 3, 1: 1, 12: 1, 13: 1, last - 1: 1, last: 1}
	for i, n := range d.Counts {
		if n != want[i] {
			t.Errorf("bucket %d has %d, want %d", i, n, want[i])
		}
	}
	if want := 200*time.Microsecond + 1 + 2*time.Second + 1 + 10*time.Second + time.Hour; d.Sum != want {
		t.Errorf("sum %v, want %v: what is below zero counts as zero", d.Sum, want)
	}
}

// Records come and go; totals only grow, whatever is on its way when they are read.
func TestTotalsOnlyGrow(t *testing.T) {
	m := NewMeter(Config{RecordLength: 100 * time.Millisecond})
	var c frame.Counts
	var before Totals
	at := 1000 * ms
	look := func(what string) {
		t.Helper()
		now := m.Totals(at)
		for i, n := range now.Ledger.Lost {
			if n < before.Ledger.Lost[i] {
				t.Fatalf("%s: lost by %v fell from %d to %d", what, frame.Cause(i), before.Ledger.Lost[i], n)
			}
		}
		for s := range now.Stages {
			for b, n := range now.Stages[s].Counts {
				if n < before.Stages[s].Counts[b] {
					t.Fatalf("%s: stage %v, bucket %d fell", what, Stage(s), b)
				}
			}
		}
		if now.Ledger.Offered < before.Ledger.Offered || now.Ledger.Delivered < before.Ledger.Delivered || now.Bytes < before.Bytes {
			t.Fatalf("%s: fell from %+v to %+v", what, before.Ledger, now.Ledger)
		}
		before = now
	}
	deliver := func(counts frame.Counts) {
		f := frame.Meta{Seq: counts.Offered, Counts: counts}
		f.Captured, f.Dequeued = frame.SenderTime(at-5*ms), frame.SenderTime(at-4*ms)
		f.FirstByte, f.LastByte, f.Delivered = at-ms, at, at
		m.Frame(&f, 100, true, clocksync.Same())
	}
	for i := range 100 {
		at += 10 * ms
		c.Offered++
		c.Sent++
		if i%10 == 3 { // a report overtakes the frame: it seems lost until it is there
			m.Counts(&c)
			look("a report before its frame")
		}
		switch {
		case i%10 == 5: // swallowed
		case i == 50:
			m.Counts(&c)
			m.Session(nil)
			c = frame.Counts{}
		default:
			deliver(c)
		}
		look("a frame")
	}
	if got := before.Ledger.Lost[frame.LostConnection]; got == 0 || before.Imbalance != 0 {
		t.Errorf("swallowed %d frames, imbalance %d", got, before.Imbalance)
	}
	if n := before.Stages[StageTotal].Counts; n[5] != before.Ledger.Delivered {
		t.Errorf("%d delays of 5 ms for %d frames", n[5], before.Ledger.Delivered)
	}
	if before.Age == nil || *before.Age != 5*time.Millisecond {
		t.Errorf("age %v, want 5ms", before.Age)
	}
	// A peer whose counters make no sense: nothing wraps around.
	for range 5 {
		deliver(c)
	}
	look("the same frame again and again")
}

func BenchmarkMeterFrame(b *testing.B) {
	s := stream{m: NewMeter(Config{RecordLength: time.Hour})}
	at := 1000 * ms
	b.ReportAllocs()
	for b.Loop() {
		at += ms
		s.send(at, 5*time.Millisecond, 1000)
	}
}

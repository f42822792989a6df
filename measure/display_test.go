package measure

import (
	"testing"
	"time"

	"framepipe/frame"
)

func TestHistoryBySecond(t *testing.T) {
	s := stream{m: NewMeter(Config{})}
	if h := s.m.History(5000 * ms); h != nil {
		t.Errorf("before any frame: %d seconds", len(h))
	}
	// 10 frames in second 10, none in 11, 5 in 12 after 3 were lost.
	for i := range 10 {
		s.send(10_000*ms+frame.ReceiverTime(i)*90*ms, 5*time.Millisecond, 1000)
	}
	s.counts.Offered += 3
	s.counts.Lost[frame.LostStale] += 3
	for i := range 5 {
		s.send(12_100*ms+frame.ReceiverTime(i)*90*ms, 20*time.Millisecond, 2000)
	}
	h := s.m.History(13_000 * ms)
	if len(h) != 3 {
		t.Fatalf("%d seconds, want 3: %+v", len(h), h)
	}
	for i, want := range []struct {
		frames int
		bytes  int64
		total  float64
		lost   int64
	}{{10, 10_000, 5, 0}, {0, 0, 0, 0}, {5, 10_000, 20, 3}} {
		got, known := h[i].Stages[StageTotal].Millis()
		if h[i].Start != frame.ReceiverTime(10+i)*1000*ms || h[i].Frames != want.frames || h[i].Bytes != want.bytes || h[i].Lost[frame.LostStale] != want.lost ||
			known != (want.frames > 0) || got != want.total {
			t.Errorf("second %d: %+v, total %v %v; want %+v", i, h[i], got, known, want)
		}
	}
	if h := s.m.History(13_999 * ms); len(h) != 3 {
		t.Errorf("the open second is listed: %d", len(h))
	}
	// Time goes on without frames, and at last leaves all behind.
	if h := s.m.History(13_000*ms + (HistoryLength-3)*second); len(h) != HistoryLength || h[0].Frames != 10 {
		t.Errorf("after ten minutes: %d seconds, first %+v", len(h), h[0])
	}
	if h := s.m.History(13_000*ms + 3*HistoryLength*second); len(h) != 0 {
		t.Errorf("after half an hour: %d seconds", len(h))
	}
}

func TestDisplay(t *testing.T) {
	d := NewDisplay()
	if s := d.State(1000 * ms); s.Shown != 0 || s.Latency != nil || s.ClockError != nil || s.FPS != nil {
		t.Errorf("nothing was shown: %+v", s)
	}
	show := func(now frame.ReceiverTime, latency, bound time.Duration) {
		d.Shown(Shown{Captured: now - frame.ReceiverTime(latency), Delivered: now - 4*ms, Drawn: now - 2*ms, Displayed: now, CapturedError: bound / 2, DisplayedError: bound / 2}, now+ms)
	}
	now := 100_000 * ms
	for range 200 {
		show(now, 10*time.Millisecond, 2*time.Millisecond)
		now += 10 * ms
	}
	d.Overtaken()
	d.Failed()
	d.Implausible()
	d.Shown(Shown{Delivered: now - 4*ms, Displayed: now}, now)        // of a camera that knows no stamps
	d.Shown(Shown{Captured: now - 9*ms, CapturedError: 1}, now+10*ms) // by a viewer whose clock is not known
	s := d.State(now)
	if s.Shown != 202 || s.Overtaken != 1 || s.Failed != 1 || s.Implausible != 1 || s.FPS == nil || *s.FPS < 99 || *s.FPS > 101 {
		t.Errorf("%+v", s)
	}
	near := func(q *Quantiles, count int64, p50 float64) bool {
		return q != nil && q.Count == count && q.P50 > 0.98*p50 && q.P50 < 1.02*p50
	}
	if !near(s.Latency, 200, 10) || !near(s.Total, 200, 10) || !near(s.TotalDrawn, 200, 8) || !near(s.Display, 201, 4) || !near(s.TotalDisplay, 201, 4) || s.ClockError == nil || *s.ClockError != 2 {
		t.Errorf("latency %+v, total %+v, drawn %+v, display %+v, error %v", s.Latency, s.Total, s.TotalDrawn, s.Display, s.ClockError)
	}
	// The recent figures forget within ten seconds; the total does not.
	for range 1200 {
		show(now, 30*time.Millisecond, 6*time.Millisecond)
		now += 10 * ms
	}
	s = d.State(now)
	if s.Latency.P50 < 29 || s.Latency.Max > 31 || s.Latency.P50 > 31 || s.Latency.Count < 500 || s.Latency.Count > 1000 || *s.ClockError != 6 || s.Total.Count != 1400 {
		t.Errorf("recent %+v ± %v, total %+v", s.Latency, *s.ClockError, s.Total)
	}
	if h := d.History(now); len(h) != 14 || h[0].Frames != 100 || h[5].Frames != 100 {
		t.Errorf("%d seconds, the first %+v", len(h), h[0])
	}
	// And when nothing is shown any more, they know nothing.
	if s := d.State(now + 60_000*ms); s.Latency != nil || s.FPS == nil || *s.FPS != 0 || s.Total == nil {
		t.Errorf("a minute later: %+v", s)
	}
}

func TestDisplayAllocatesNothing(t *testing.T) {
	d := NewDisplay()
	now := 1000 * ms
	if n := testing.AllocsPerRun(1000, func() {
		now += 33 * ms
		d.Shown(Shown{Captured: now - 9*ms, Delivered: now - 5*ms, Drawn: now - 2*ms, Displayed: now, DisplayedError: 1000}, now)
	}); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}

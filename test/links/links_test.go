package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/mjpeg"
)

// What the measurements are for, in small: the ratios between the origin's way
// and the default one, with margins that a busy machine leaves intact.
func TestGatedAgainstTheOrigin(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes the emulator late; run without -race")
	}
	if err := netem.Possible(); err != nil {
		t.Skip(err)
	}
	block, gated := variants[0], variants[3]
	for _, c := range []struct {
		name     string
		link     int
		frame    frameCase
		duration time.Duration
		unit     string
		ok       func(gated, block float64) bool
		wants    string
	}{
		{"b: latency in overload", 1, frame230, 3 * time.Second, "p50-ms", func(g, b float64) bool { return g <= 0.6*b }, "at most 0.6 x block's"},
		{"c: frame rate under loss", 2, frame67, 3 * time.Second, "fps", func(g, b float64) bool { return g >= 1.2*b }, "at least 1.2 x block's"},
		{"f: age in an outage", 5, frame67, 4 * time.Second, "agemax-ms", func(g, b float64) bool { return g <= 0.85*b }, "at most 0.85 x block's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for attempt := uint64(1); ; attempt++ {
				var figures [2]float64
				late := false
				for i, v := range []variant{block, gated} {
					r, err := once(t.Context(), spec{link: links[c.link], variant: v, frame: c.frame, duration: c.duration}, attempt)
					if err != nil {
						t.Fatal(err) // no measurement: a ledger that does not balance, frames out of order
					}
					if r.Congestion != v.congestion {
						t.Skipf("this kernel has no %s", v.congestion)
					}
					late = late || r.net.Spoiled()
					values := r.values()
					t.Log(formatRow(r.spec.Name(), values))
					if figures[i] = figure(t, values, c.unit); i == 1 && c.link == 5 && r.Stats.Rescues == 0 {
						t.Error("the stalled connection was not overtaken")
					}
				}
				text := fmt.Sprintf("%s: gated %.4g, block %.4g; want %s", c.unit, figures[1], figures[0], c.wants)
				switch {
				case c.ok(figures[1], figures[0]):
					t.Log(text)
					return
				case attempt < 4: // a machine that was busy for some seconds is not the sender's fault
					t.Logf("once more: %s (emulator late: %v)", text, late)
				default:
					t.Fatalf("%s (emulator late: %v)", text, late)
				}
			}
		})
	}
}

func figure(t *testing.T, values []value, unit string) float64 {
	t.Helper()
	for _, v := range values {
		if v.unit == unit {
			return v.v
		}
	}
	t.Fatalf("no %s in %v", unit, values)
	return 0
}

func TestAgesCountWhatLatencyHides(t *testing.T) {
	const ms = time.Millisecond
	// Captured each 10 ms and delivered after 5, but nothing between 30 and 80.
	var frames []delivered
	for _, at := range []time.Duration{0, 10 * ms, 20 * ms, 80 * ms} {
		frames = append(frames, delivered{seq: uint64(at/ms) + 1, bytes: 1000, captured: at, last: at + 5*ms})
	}
	a := ages(frames, 6*ms, 100*ms)
	if len(a) != 47 {
		t.Fatalf("%d samples of 94 ms, want 47", len(a))
	}
	for i, want := range map[int]time.Duration{0: 6 * ms, 4: 14 * ms, 5: 6 * ms, 39: 64 * ms, 40: 6 * ms, 46: 18 * ms} {
		if a[i] != want {
			t.Errorf("sample %d: age %v, want %v", i, a[i], want)
		}
	}
	if got := ages(frames, 0, 4*ms); len(got) != 2 || got[1] != 2*ms {
		t.Errorf("before anything was shown: %v", got)
	}
	if got := ages(nil, 0, 10*ms); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestQuantile(t *testing.T) {
	list := make([]time.Duration, 100)
	for i := range list {
		list[i] = time.Duration(i + 1)
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.95: 95, 0.99: 99, 1: 100} {
		if got := quantile(list, q); got != want {
			t.Errorf("quantile %g of 1..100 is %d, want %d", q, got, want)
		}
	}
}

// Every name that the matrix makes must be found again in what was written, or a
// goal would be "not measured" for ever.
func TestGoalsAreInTheMatrix(t *testing.T) {
	names := map[string]bool{}
	for _, quick := range []bool{true, false} {
		clear(names)
		for _, c := range matrixSpecs(quick, time.Second) {
			if names[c.Name()] {
				t.Errorf("%s is in the matrix twice", c.Name())
			}
			names[c.Name()] = true
		}
		for _, g := range goals() {
			if !names[g.cell.Name()] || g.against != nil && !names[g.against.Name()] {
				t.Errorf("quick %v: goal %s %s: %s is not in the matrix", quick, g.text, g.unit, g.cell.Name())
			}
			if unitOrder(g.unit) < 0 {
				t.Errorf("goal %s: no run gives %s", g.text, g.unit)
			}
		}
	}
}

func TestTableFromRows(t *testing.T) {
	var b strings.Builder
	b.WriteString("cpu: Test\nlink-b: as it is\nUnit fps better=higher\n")
	c := spec{link: links[1], variant: variants[3], frame: frame230}
	o := spec{link: links[1], variant: variants[0], frame: frame230}
	for i := range 6 {
		b.WriteString(formatRow(c.Name(), []value{{18 + float64(i)/10, "fps"}, {80 + float64(i), "p50-ms"}, {0, "spoiled"}, {1, "repeats"}}) + "\n")
		b.WriteString(formatRow(o.Name(), []value{{18, "fps"}, {500, "p50-ms"}, {0, "spoiled"}, {0, "repeats"}}) + "\n")
	}
	b.WriteString(formatRow(o.Name(), []value{{70, "late-ms"}, {3, "repeats"}, {1, "spoiled"}}) + "\n")
	table, err := parseTable(strings.NewReader(b.String()), "test")
	if err != nil {
		t.Fatal(err)
	}
	thin := &cell{values: map[string][]float64{"fps": {1, 2, 9}}}
	cell := table.cell(c.Name())
	if cell == nil || cell.rows != 6 || cell.repeats != 6 || cell.spoiled != 0 {
		t.Fatalf("%+v", cell)
	}
	if e, ok := cell.estimate("p50-ms"); !ok || e.median != 82.5 || e.lo > 81 || e.hi < 84 || e.confidence < 0.95 {
		t.Errorf("estimate %+v", e)
	}
	if _, ok := cell.estimate("age99-ms"); ok {
		t.Error("a figure that no row has is known")
	}
	if e, _ := thin.estimate("fps"); e.lo != 1 || e.hi != 9 || e.confidence != 0.75 {
		t.Errorf("of three values: %+v", e)
	}
	page := table.markdown("links", nil)
	for _, want := range []string{"Machine: Test", "| b | as it is |", "| b | gated+bbr | 6 |", "82.5 [80–85]", "1 of " + o.Name(), "| yes |", "not measured"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if _, err := parseTable(strings.NewReader("nothing\n"), "test"); err == nil {
		t.Error("a file without rows gives a table")
	}
}

// A camera that is asked late gives the newest tick and says what was lost.
func TestSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(frame20, 1)
		s.start = frame.SenderNow()
		for _, c := range []struct {
			busy      time.Duration
			seq, gaps uint64
		}{{0, 1, 0}, {0, 2, 0}, {110 * time.Millisecond, 5, 2}, {0, 6, 2}} {
			time.Sleep(c.busy)
			f, err := s.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.Seq != c.seq || f.Counts.Offered != c.seq || f.Counts.Lost[frame.LostGap] != c.gaps {
				t.Errorf("after %v: frame %d with %+v, want frame %d after %d gaps", c.busy, f.Seq, f.Counts, c.seq, c.gaps)
			}
			if late := frame.SenderNow().Sub(f.Captured); late < 0 || late > 34*time.Millisecond {
				t.Errorf("frame %d was captured %v ago", f.Seq, late)
			}
			if h, err := mjpeg.Header(f.Data); err != nil || h.Width != frameWidth {
				t.Errorf("frame %d: %+v, %v", f.Seq, h, err)
			}
			f.Release()
		}
		if n := s.pool.Out(); n != 0 {
			t.Errorf("%d frames were not given back", n)
		}
	})
}

func TestSourceSizes(t *testing.T) {
	s, again := newSource(frame20, 1), newSource(frame20, 1)
	for range 100 {
		n := s.size()
		if n != again.size() {
			t.Fatal("the same seed gives other sizes")
		}
		if n < 17_000 || n > 23_000 {
			t.Fatalf("a frame of %d bytes", n)
		}
	}
	s.limit = func() int { return 8000 }
	for range 100 {
		if n := s.size(); n < 6800 || n > 9200 {
			t.Fatalf("limited to 8000 bytes: %d", n)
		}
	}
	s.limit = func() int { return 0 }
	if n := s.size(); n < 17_000 {
		t.Errorf("not limited: %d", n)
	}
}

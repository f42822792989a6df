package netem

import (
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

type outcome struct {
	fate fate
	due  time.Duration
}

// feed sends n packets of size bytes, one every gap, and returns their fates.
func feed(s *server, n, size int, gap time.Duration) []outcome {
	s.begin(0)
	list := make([]outcome, n)
	for i := range list {
		list[i].fate, list[i].due = s.arrive(time.Duration(i)*gap, size)
	}
	return list
}

func count(list []outcome, f fate) (n int) {
	for _, o := range list {
		if o.fate == f {
			n++
		}
	}
	return n
}

func lastDue(list []outcome) (due time.Duration) {
	for _, o := range list {
		due = max(due, o.due)
	}
	return due
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if got < want*(1-tolerance) || got > want*(1+tolerance) {
		t.Errorf("%s: %g, want %g within %g %%", what, got, want, tolerance*100)
	}
}

func TestRate(t *testing.T) {
	// 1000 packets of 1250 bytes at 10 Mbit/s take 1 ms each, however fast they come.
	got := feed(newServer(Path{Rate: 10e6, Queue: 10e6}, 1, 0), 1000, 1250, 0)
	if due := lastDue(got); due != time.Second {
		t.Errorf("a burst is through after %v, want 1s", due)
	}
	// A slow sender is not delayed by more than its own packets' time.
	for i, o := range feed(newServer(Path{Rate: 10e6}, 1, 0), 100, 1250, 5*ms) {
		if want := time.Duration(i)*5*ms + ms; o.due != want {
			t.Fatalf("packet %d is due at %v, want %v", i, o.due, want)
		}
	}
	// Without a rate nothing waits.
	if due := lastDue(feed(newServer(Path{Delay: 7 * ms}, 1, 0), 1000, 1250, 0)); due != 7*ms {
		t.Errorf("unlimited: through after %v, want 7ms", due)
	}
}

func TestQueueIsFinite(t *testing.T) {
	s := newServer(Path{Rate: 10e6, Queue: 12500}, 1, 0)
	got := feed(s, 100, 1250, 0)
	if n := count(got, droppedQueue); n != 90 {
		t.Errorf("%d dropped, want 90 of 100", n)
	}
	if s.maxQueued != 12500 {
		t.Errorf("at most %d bytes were queued, want 12500", s.maxQueued)
	}
	// After 5 ms five packets have left: five more fit.
	for i, want := range []fate{delivered, delivered, delivered, delivered, delivered, droppedQueue} {
		if f, _ := s.arrive(5*ms, 1250); f != want {
			t.Errorf("packet %d after 5 ms: fate %d, want %d", i, f, want)
		}
	}
}

func TestSteps(t *testing.T) {
	p := Path{Rate: 10e6, Queue: 10e6, Steps: []Step{{1e6, 100 * ms, 200 * ms}}}
	// 100 packets pass before the step, 10 during it, the rest after.
	got := feed(newServer(p, 1, 0), 300, 1250, 0)
	for i, want := range map[int]time.Duration{99: 100 * ms, 100: 110 * ms, 109: 200 * ms, 110: 201 * ms, 299: 390 * ms} {
		if got[i].due != want {
			t.Errorf("packet %d is due at %v, want %v", i, got[i].due, want)
		}
	}
	// A packet that begins before a step ends at the step's rate: 0.5 ms of 1 ms
	// are done, the other half takes ten times as long.
	s := newServer(p, 1, 0)
	s.begin(0)
	if _, due := s.arrive(99*ms+500*time.Microsecond, 1250); due != 105*ms {
		t.Errorf("across the step: due at %v, want 105ms", due)
	}
	// Schedules count from the first data.
	s = newServer(p, 1, 0)
	if _, due := s.arrive(150*ms, 1250); due != 151*ms {
		t.Errorf("before the schedule began: due at %v, want 151ms", due)
	}
	s.begin(time.Second)
	s.begin(2 * time.Second)
	if _, due := s.arrive(time.Second+150*ms, 1250); due != time.Second+160*ms {
		t.Errorf("in the step: due at %v, want 1.16s", due)
	}
}

func TestOutages(t *testing.T) {
	lost := Path{Rate: 10e6, Outages: []Outage{{At: 100 * ms, For: 50 * ms}}}
	for i, o := range feed(newServer(lost, 1, 0), 200, 1250, ms) {
		left := time.Duration(i+1) * ms
		want := delivered
		if left >= 100*ms && left < 150*ms {
			want = lostOutage
		}
		if o.fate != want {
			t.Errorf("the packet that leaves at %v: fate %d, want %d", left, o.fate, want)
		}
	}
	held := Path{Rate: 10e6, Outages: []Outage{{At: 100 * ms, For: 50 * ms, Hold: true}}}
	got := feed(newServer(held, 1, 0), 200, 1250, ms)
	if n := count(got, delivered); n != 200 {
		t.Errorf("%d of 200 delivered by an outage that holds", n)
	}
	if got[99].due != 100*ms || got[100].due != 151*ms || got[150].due != 201*ms {
		t.Errorf("held: due at %v, %v, %v", got[99].due, got[100].due, got[150].due)
	}
}

func TestRandomLoss(t *testing.T) {
	got := feed(newServer(Path{Loss: 0.05}, 1, 0), 100000, 1000, ms)
	near(t, "lost", float64(count(got, lostRandom)), 5000, 0.05)
}

func TestBurstsAreInTime(t *testing.T) {
	p := Path{Burst: Burst{Fraction: 0.1, Mean: 20 * ms}}
	fine := feed(newServer(p, 7, 0), 200000, 100, ms)
	near(t, "share of time that is lost", float64(count(fine, lostBurst))/200000, 0.1, 0.1)

	bursts := 0
	for i := 1; i < len(fine); i++ {
		if fine[i].fate == lostBurst && fine[i-1].fate == delivered {
			bursts++
		}
	}
	near(t, "mean length of a burst in ms", float64(count(fine, lostBurst))/float64(bursts), 20, 0.15)

	// A sender that backs off meets the same bursts at the same times.
	coarse := feed(newServer(p, 7, 0), 2000, 100, 100*ms)
	for i, o := range coarse {
		if o.fate != fine[i*100].fate {
			t.Fatalf("at %v: fate %d for a slow sender, %d for a fast one", time.Duration(i)*100*ms, o.fate, fine[i*100].fate)
		}
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	got := feed(newServer(Path{Delay: 5 * ms, Jitter: 3 * ms}, 1, 0), 20000, 1000, 100*ms)
	var sum time.Duration
	for i, o := range got {
		if i > 0 && o.due < got[i-1].due {
			t.Fatalf("packet %d overtakes the one before it", i)
		}
		late := o.due - time.Duration(i)*100*ms
		if late < 5*ms {
			t.Fatalf("packet %d is due %v after its arrival, before the delay is over", i, late)
		}
		sum += late
	}
	near(t, "mean delay in ms", float64(sum/20000)/float64(ms), 8, 0.05)
	dense := feed(newServer(Path{Delay: 5 * ms, Jitter: 3 * ms}, 1, 0), 5000, 1000, 100*time.Microsecond)
	for i := 1; i < len(dense); i++ {
		if dense[i].due < dense[i-1].due {
			t.Fatalf("packet %d overtakes the one before it", i)
		}
	}
}

func TestSameSeedSameFate(t *testing.T) {
	p := Path{Rate: 20e6, Queue: 30000, Delay: 5 * ms, Jitter: 2 * ms, Loss: 0.02,
		Burst: Burst{0.05, 10 * ms}, Steps: []Step{{5e6, time.Second, 2 * time.Second}}, Outages: []Outage{{At: 3 * time.Second, For: 100 * ms}}}
	run := func(seed, direction uint64) []outcome {
		arrivals := rand.New(rand.NewPCG(42, 42)) // the same for all
		s := newServer(p, seed, direction)
		s.begin(0)
		now := time.Duration(0)
		list := make([]outcome, 20000)
		for i := range list {
			now += time.Duration(arrivals.ExpFloat64() * float64(300*time.Microsecond))
			list[i].fate, list[i].due = s.arrive(now, 60+arrivals.IntN(1440))
		}
		return list
	}
	differences := func(a, b []outcome) (n int) {
		for i := range a {
			if a[i] != b[i] {
				n++
			}
		}
		return n
	}
	first := run(1, 0)
	for f := delivered; f <= lostOutage; f++ {
		if count(first, f) == 0 {
			t.Errorf("no packet has fate %d: the test does not show what it should", f)
		}
	}
	if n := differences(first, run(1, 0)); n != 0 {
		t.Errorf("%d packets fare differently with the same seed", n)
	}
	if differences(first, run(2, 0)) == 0 || differences(first, run(1, 1)) == 0 {
		t.Error("another seed, or the other direction, should fare differently")
	}
}

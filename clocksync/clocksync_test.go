package clocksync

import (
	"math/rand/v2"
	"testing"
	"time"

	"framepipe/frame"
)

// clocks simulates two machines: the sender's clock is wrong by offset and runs
// at 1+rate of the receiver's.
type clocks struct {
	offset time.Duration
	rate   func(t float64) float64 // relative rate at receiver's second t, integrated below
	acc    float64                 // accumulated drift, ns
	last   int64
}

func (c *clocks) sender(at int64) frame.SenderTime {
	for c.last < at {
		step := min(at-c.last, int64(10*time.Millisecond))
		c.acc += float64(step) * c.rate(float64(c.last)/1e9)
		c.last += step
	}
	return frame.SenderTime(at + int64(c.offset) + int64(c.acc))
}

func constant(r float64) func(float64) float64 { return func(float64) float64 { return r } }

func TestBoundHoldsUnderWrongAndDriftingClocks(t *testing.T) {
	queue := func(r *rand.Rand, mean time.Duration) time.Duration {
		return time.Duration(r.ExpFloat64() * float64(mean))
	}
	for _, tc := range []struct {
		name     string
		offset   time.Duration
		rate     func(float64) float64
		up, down time.Duration // mean queueing towards the receiver and back, on top of 1 ms each
		within   time.Duration // the error bound must fall below this in a minute
	}{
		{"same clock, quiet", 0, constant(0), 50 * time.Microsecond, 50 * time.Microsecond, 3 * time.Millisecond},
		{"an hour ahead", time.Hour, constant(0), time.Millisecond, time.Millisecond, 3 * time.Millisecond},
		{"a year behind, 80 ppm fast", -365 * 24 * time.Hour, constant(80e-6), time.Millisecond, time.Millisecond, 3 * time.Millisecond},
		{"500 ppm slow", time.Minute, constant(-500e-6), time.Millisecond, time.Millisecond, 3 * time.Millisecond},
		{"rate wanders by 4 ppm", time.Second, func(s float64) float64 { return 50e-6 + 4e-6*float64(int(s/20)%2) }, time.Millisecond, time.Millisecond, 3 * time.Millisecond},
		{"one way is full of frames", 5 * time.Second, constant(30e-6), 80 * time.Millisecond, time.Millisecond, 40 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			c := &clocks{offset: tc.offset, rate: tc.rate}
			var e Estimator
			now := int64(time.Hour)
			c.last = now
			for i := range 600 { // two a second for five minutes
				t1 := now
				t2 := t1 + int64(time.Millisecond+queue(r, tc.down))
				s2 := c.sender(t2)
				t3 := t2 + int64(50*time.Microsecond)
				s3 := c.sender(t3)
				t4 := t3 + int64(time.Millisecond+queue(r, tc.up))
				e.Add(Sample{T1: frame.ReceiverTime(t1), T2: s2, T3: s3, T4: frame.ReceiverTime(t4)})
				now += int64(500 * time.Millisecond)
				s := c.sender(now)
				o := e.At(frame.ReceiverTime(now))
				if !o.Known {
					t.Fatalf("exchange %d: nothing known", i)
				}
				if miss := abs(int64(o.ToReceiver(s)) - now); time.Duration(miss) > o.Error {
					t.Fatalf("exchange %d: estimate is wrong by %v, bound says %v", i, time.Duration(miss), o.Error)
				}
				if i > 120 && o.Error > tc.within {
					t.Fatalf("exchange %d: bound is %v, want below %v", i, o.Error, tc.within)
				}
			}
			if st := e.Stats(); !st.RateKnow {
				t.Errorf("relative rate still unknown after five minutes")
			}
		})
	}
}

func TestSuspendIsNoticed(t *testing.T) {
	var e Estimator
	exchange := func(at, offset int64) {
		e.Add(Sample{frame.ReceiverTime(at), frame.SenderTime(at + offset + 1e6), frame.SenderTime(at + offset + 1e6), frame.ReceiverTime(at + 2e6)})
	}
	at := int64(1e12)
	for range 100 {
		exchange(at, 5e9)
		at += 5e8
	}
	for range distrust {
		exchange(at, 65e9) // the receiver's clock stood still for a minute
		at += 5e8
	}
	if o := e.At(frame.ReceiverTime(at)); abs(int64(o.Offset)-65e9) > int64(o.Error) || o.Error > 10*time.Millisecond {
		t.Errorf("after the step: offset %v ± %v, want 65 s", o.Offset, o.Error)
	}
}

func TestImpossibleSamplesAreRefused(t *testing.T) {
	var e Estimator
	for name, s := range map[string]Sample{
		"zero":                     {},
		"answered before asked":    {T1: 100, T2: 50, T3: 40, T4: 200},
		"arrived before it left":   {T1: 200, T2: 50, T3: 60, T4: 100},
		"negative round-trip time": {T1: 100, T2: 50, T3: 500, T4: 200},
	} {
		if e.Add(s) {
			t.Errorf("%s: taken", name)
		}
	}
	if o := e.At(1); o.Known {
		t.Errorf("knows %+v from nothing", o)
	}
}

// A liar must not be able to make the estimator work hard or overflow.
func TestHostileValues(t *testing.T) {
	var e Estimator
	r := rand.New(rand.NewPCG(3, 4))
	for range 10000 {
		t1 := r.Int64N(1 << 62)
		e.Add(Sample{frame.ReceiverTime(t1), frame.SenderTime(r.Int64()), frame.SenderTime(r.Int64()), frame.ReceiverTime(t1 + r.Int64N(1<<40))})
	}
	e.At(frame.ReceiverTime(1 << 62))
}

package clocksync

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"framepipe/frame"
)

// Two days of a clock whose rate follows the temperature of the room: the bound
// holds at every moment and stays narrow, and the estimate of the rate follows.
func TestDaysOfDrift(t *testing.T) {
	length := 48 * time.Hour
	if os.Getenv("FRAMEPIPE_EMULATED") != "" {
		length = 2 * time.Hour
	}
	day := func(s float64) float64 {
		return 40e-6 + 3e-6*math.Sin(2*math.Pi*s/86400) + 1e-6*math.Sin(2*math.Pi*s/1800)
	}
	r := rand.New(rand.NewPCG(5, 6))
	c := &clocks{offset: -17 * time.Hour, rate: day}
	var e Estimator
	now := int64(time.Hour)
	c.last = now
	wait := func() int64 { return int64(time.Millisecond) + int64(r.ExpFloat64()*float64(time.Millisecond)) }
	worst, off := time.Duration(0), 0.0
	begin := now
	for i := 0; now < begin+int64(length); i++ {
		t1 := now
		t2 := t1 + wait()
		s2 := c.sender(t2)
		s3 := c.sender(t2 + 50_000)
		t4 := t2 + 50_000 + wait()
		e.Add(Sample{T1: frame.ReceiverTime(t1), T2: s2, T3: s3, T4: frame.ReceiverTime(t4)})
		now += int64(500 * time.Millisecond)
		s := c.sender(now)
		o := e.At(frame.ReceiverTime(now))
		if miss := time.Duration(abs(int64(o.ToReceiver(s)) - now)); !o.Known || miss > o.Error {
			t.Fatalf("after %v: wrong by %v, bound %v", time.Duration(now-begin), miss, o.Error)
		}
		if i > 600 {
			worst = max(worst, o.Error)
			if st := e.Stats(); st.RateKnow {
				off = max(off, math.Abs(st.Rate-day(float64(now)/1e9)))
			}
		}
	}
	t.Logf("widest bound %v, rate off by at most %.1f ppm", worst, off*1e6)
	if worst > 3*time.Millisecond || off > 100e-6 {
		t.Errorf("widest bound %v, rate off by %.1f ppm", worst, off*1e6)
	}
}

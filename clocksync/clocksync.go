// Package clocksync relates the monotonic clocks of two machines and says how
// sure it is. The asker sends its time t1, the other side notes t2 on arrival
// and t3 on answering, the asker notes t4: the four timestamps of RFC 5905,
// section 8. Whatever the network did, the true offset (other clock minus own)
// lies between t3-t4 and t2-t1, because neither way takes negative time. The
// package works with these intervals rather than with averages: its error bound
// holds under any asymmetry of the two ways, as long as the clocks' relative
// rate stays within what is assumed of it.
//
// An Estimator keeps the sample with the smallest round trip of each period,
// learns the clocks' relative rate from pairs of them, and extrapolates from the
// sample that gives the tightest bound at the asked time.
//
// This is not NTP: nothing is steered, no wall clock is read, and stepping or
// slewing the wall clock does not touch it (Linux slews CLOCK_MONOTONIC by at
// most 500 ppm, which maxDrift covers until the rate is learned).
package clocksync

import (
	"math"
	"sync"
	"time"

	"framepipe/frame"
)

// What is assumed of clocks. Crystals of computers stay within 100 ppm, and the
// kernel may slew by 500 ppm more; once a rate was learned, wander bounds how far
// it changes with temperature.
const (
	maxDrift = 600e-6
	wander   = 5e-6
)

// A period holds one sample, the best of it; periods reach two minutes back.
const (
	period  = int64(2 * time.Second)
	periods = 64
)

// distrust is how many samples in a row have to contradict the estimate before
// it is thrown away: a machine that was suspended has a different offset.
const distrust = 3

// Sample is one exchange. T1 and T4 are of the receiver's clock, T2 and T3 of
// the sender's.
type Sample struct {
	T1 frame.ReceiverTime
	T2 frame.SenderTime
	T3 frame.SenderTime
	T4 frame.ReceiverTime
}

// RTT is the time that the exchange spent on the network.
func (s Sample) RTT() time.Duration { return s.T4.Sub(s.T1) - s.T3.Sub(s.T2) }

// point is a sample reduced to what the estimate needs, in nanoseconds.
type point struct {
	at    int64 // receiver's clock, middle of the exchange
	theta int64 // sender's clock minus receiver's, midpoint of the interval
	half  int64 // half the interval: the true offset is within theta ± half
}

// Estimator collects samples and answers what a moment of the sender's clock is
// on the receiver's. The zero value knows nothing. It is safe for concurrent use.
type Estimator struct {
	mu       sync.Mutex
	points   []point // guarded by mu; oldest first, one a period
	rate     float64 // guarded by mu; change of theta per ns
	rateErr  float64 // guarded by mu
	conflict int     // guarded by mu; samples in a row that contradict the estimate
	samples  int     // guarded by mu
	rtt      time.Duration
}

// Add takes a sample. Exchanges that cannot be (a negative round trip) are
// ignored, and Add reports whether it took the sample.
func (e *Estimator) Add(s Sample) bool {
	if s.T1 == 0 || s.T2 == 0 || s.T3 < s.T2 || s.T4 < s.T1 || s.RTT() < 0 {
		return false
	}
	p := point{
		at:    int64(s.T1) + int64(s.T4-s.T1)/2,
		theta: (int64(s.T2) - int64(s.T1) + int64(s.T3) - int64(s.T4)) / 2,
		half:  int64(s.RTT()+1) / 2,
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.points) > 0 {
		o := e.at(p.at)
		if gap := abs(p.theta - int64(o.Offset)); gap > p.half+int64(o.Error) {
			if e.conflict++; e.conflict < distrust {
				return false
			}
			e.points = e.points[:0]
		}
	}
	e.conflict = 0
	e.samples++
	e.rtt = s.RTT()
	e.keep(p)
	e.fit()
	return true
}

// keep puts p into its period if it is the best there.
func (e *Estimator) keep(p point) {
	if n := len(e.points); n > 0 && e.points[n-1].at/period == p.at/period {
		if p.half < e.points[n-1].half {
			e.points[n-1] = p
		}
		return
	}
	if len(e.points) == periods {
		copy(e.points, e.points[1:])
		e.points = e.points[:periods-1]
	}
	e.points = append(e.points, p)
}

// fit learns the relative rate from the pair of points that bounds it best: two
// intervals at two times leave only these slopes.
func (e *Estimator) fit() {
	e.rate, e.rateErr = 0, maxDrift
	for i := range e.points {
		for j := i + 1; j < len(e.points); j++ {
			a, b := e.points[i], e.points[j]
			dt := float64(b.at - a.at)
			if err := float64(a.half+b.half)/dt + wander; err < e.rateErr {
				if r := float64(b.theta-a.theta) / dt; math.Abs(r) <= maxDrift+err {
					e.rate, e.rateErr = r, err
				}
			}
		}
	}
}

// Offset is what is known at one moment.
type Offset struct {
	Offset time.Duration // sender's clock minus receiver's
	Error  time.Duration // the true offset is within Offset ± Error
	Known  bool

	at            int64 // the moment, on the receiver's clock
	rate, rateErr float64
}

// at is the estimate at the receiver's time t; the caller holds mu.
func (e *Estimator) at(t int64) Offset {
	var o Offset
	for i := range e.points {
		p := &e.points[i]
		dt := float64(t - p.at)
		err := time.Duration(float64(p.half) + math.Abs(dt)*e.rateErr)
		if !o.Known || err < o.Error {
			o = Offset{Offset: time.Duration(p.theta + int64(dt*e.rate)), Error: err, Known: true, at: t, rate: e.rate, rateErr: e.rateErr}
		}
	}
	return o
}

// At is the estimate at the receiver's time t.
func (e *Estimator) At(t frame.ReceiverTime) Offset {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at(int64(t))
}

// ToReceiver is the receiver's time at which the sender's clock showed s.
func (o Offset) ToReceiver(s frame.SenderTime) frame.ReceiverTime {
	r := int64(s) - int64(o.Offset)
	return frame.ReceiverTime(r - int64(float64(r-o.at)*o.rate))
}

// ErrorAt is the bound on ToReceiver(s), which is wider the further s lies from
// the moment that o is of.
func (o Offset) ErrorAt(s frame.SenderTime) time.Duration {
	away := math.Abs(float64(int64(s) - int64(o.Offset) - o.at))
	return o.Error + time.Duration(away*o.rateErr)
}

// Same is the offset between a clock and itself: a camera on the receiver's own
// machine.
func Same() Offset { return Offset{Known: true} }

// Stats describes an estimator for people and logs.
type Stats struct {
	Samples  int           // taken
	RTT      time.Duration // of the last one
	Rate     float64       // relative rate of the clocks, sender's minus receiver's, as a fraction
	RateErr  float64       // its bound
	RateKnow bool          // a pair of samples bounds it better than the assumption
}

// Stats returns a snapshot.
func (e *Estimator) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{Samples: e.samples, RTT: e.rtt, Rate: e.rate, RateErr: e.rateErr, RateKnow: e.rateErr < maxDrift}
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

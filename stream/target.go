package stream

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"framepipe/wire"
)

// The controller behind --target-latency decides how many bytes the next frame
// may have. It measures the link's rate where it shows undistorted: at the
// receiver, as the bytes of one frame over the time from the first to the last
// read of it. There is no round trip in that, so it is right when the link is
// idle between frames and when it is saturated. What a sender sees of TCP, bytes
// acknowledged per time, is not: it counts the idle time in.
const (
	// A sample from fewer bytes or a shorter time says little; what arrives at
	// once is taken for fast.
	leastRest = 3000
	leastTime = 300 * time.Microsecond
	fasterBy  = 1.05 // what an arrival at once makes of the estimate
	rateDown  = 0.5  // weight of a sample below the estimate
	rateUp    = 0.25 // and above
	warnDown  = 0.7  // weight of an early warning
	keepRates = 8    // samples kept for links that lose packets
	upperRate = 6    // of keepRates in order, the one that is believed there
	lossyFrom = 3    // of the last 16 frames, so many with losses make a link a lossy one

	lossTime  = 150 * time.Millisecond // a sample this slow is believed even when packets were lost meanwhile
	warnAfter = 10 * time.Millisecond  // beyond the round trip: the oldest frame on the way is late

	load     = 0.85      // share of the link's rate that frames may use
	levelUp  = 1.03      // how fast frames may grow, per frame
	headroom = 7.0 / 8   // share of the target that a frame's own time on the link may take
	minFrame = 7 << 10   // bytes; smaller frames show nothing any more
	maxFrame = 512 << 20 // bytes; no limit
)

// target is the controller of one sender. All methods may be called from any
// goroutine.
type target struct {
	mu      sync.Mutex
	latency time.Duration // what is aimed at; 0 = off
	rate    float64       // guarded by mu; bytes/s, 0 = unknown
	recent  [keepRates]float64
	nrecent int
	level   float64 // guarded by mu; bytes a frame
	retrans uint32  // guarded by mu; as of the last acknowledgement
	losses  uint64  // guarded by mu; a bit for each of the last frames, 1 = packets were lost meanwhile
	every   float64 // guarded by mu; seconds between frames, smoothed
	last    time.Time
}

// acked takes one acknowledgement; retrans is TCP's count of segments sent again.
func (t *target) acked(a wire.Ack, size int, retrans uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := retrans != t.retrans
	t.retrans = retrans
	t.losses <<= 1
	if lost {
		t.losses |= 1
	}
	took := time.Duration(a.LastByte - a.FirstByte)
	if int(a.Rest) < leastRest {
		if size >= leastRest && t.rate > 0 && !lost {
			t.rate *= fasterBy
		}
		return
	}
	if lost && took < lossTime {
		return // it measures how TCP repaired the loss, not the link
	}
	r := float64(a.Rest) / max(took, leastTime).Seconds()
	t.recent[t.nrecent%keepRates] = r
	t.nrecent++
	t.believe(r)
}

// believe moves the estimate towards a sample. On a link that loses packets in
// bursts, low samples are the disturbed ones, even those between losses: the
// link cannot deliver faster than it is, so an upper one of the last few is
// nearest to it. Where nothing is lost a low sample means what it says.
func (t *target) believe(r float64) {
	if t.rate == 0 {
		t.rate = r
		return
	}
	if t.nrecent >= keepRates && t.lossy() {
		s := t.recent
		slices.Sort(s[:])
		r = s[upperRate]
	}
	if r < t.rate {
		t.rate += rateDown * (r - t.rate)
	} else {
		t.rate += rateUp * (r - t.rate)
	}
}

// budget is how many bytes the next frame may have; it is asked once for each
// frame captured. 0 = any number.
func (t *target) budget(c *senderConn) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if !t.last.IsZero() {
		d := min(now.Sub(t.last).Seconds(), 1)
		if t.every == 0 {
			t.every = d
		}
		t.every += (d - t.every) / 16
	}
	t.last = now
	if t.latency == 0 || c == nil {
		return 0
	}
	queued, rtt, seen := 0, time.Duration(0), 0.0
	if c.look != nil {
		if q, err := c.look.Queued(); err == nil {
			queued = q
		}
		if info, err := c.look.Info(); err == nil {
			rtt = time.Duration(info.MinRTT) * time.Microsecond
			seen = t.warn(c, now, queued, rtt, info.Retrans)
		}
	}
	c.gate.Believe(t.rate)
	if t.rate == 0 || t.every == 0 {
		return 0
	}
	own := max((time.Duration(float64(t.latency)*headroom) - rtt).Seconds(), 0.005)
	level := min(load*t.rate*t.every, t.rate*own)
	if t.level == 0 || level < t.level {
		t.level = level
	} else {
		t.level = min(level, t.level*levelUp)
	}
	size := min(t.level, t.rate*max(t.latency-rtt, 5*time.Millisecond).Seconds()-float64(queued))
	if seen > 0 { // a false alarm costs one small frame, a true one that is not heeded a late frame and the one behind it
		size = min(size, seen*own-float64(queued))
	}
	return int(min(max(size, minFrame), maxFrame))
}

// warn looks at the oldest frame on the way: if it is late, the link is slower
// than believed, which shows here one frame before its acknowledgement does. The
// link has been busy with that frame since it set out, so what has arrived of it
// in the time beyond one round trip is the rate, which it returns; 0 = nothing to
// warn of. The estimate goes most of the way there, the next frame all of it.
func (t *target) warn(c *senderConn, now time.Time, queued int, rtt time.Duration, retrans uint32) float64 {
	oldest, _, ok := c.flight.oldest()
	if !ok || t.rate == 0 {
		return 0
	}
	late := now.Sub(oldest.at) - rtt
	if late < warnAfter || (retrans != t.retrans || t.lossy()) && late < lossTime {
		return 0
	}
	arrived := c.flight.bytes() - queued
	r := float64(max(arrived, 1448)) / late.Seconds()
	if r >= t.rate {
		return 0
	}
	t.rate += warnDown * (r - t.rate)
	return r
}

// lossy reports whether this is a link that loses packets; the caller holds mu.
func (t *target) lossy() bool { return bits.OnesCount64(t.losses) >= lossyFrom }

// known is the estimated rate in bytes/s, 0 = unknown.
func (t *target) known() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rate
}

// forget drops what was learned: a new connection may take another way.
func (t *target) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retrans, t.losses, t.nrecent = 0, 0, 0
}

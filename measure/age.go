package measure

import (
	"time"

	"framepipe/frame"
)

// ageStep is the grid on which the age of the newest frame is sampled.
const ageStep = 2 * time.Millisecond

// ageSampler follows the age of the newest delivered frame: now minus its
// capture. Between two deliveries the age simply grows, so it is not sampled by
// a timer but worked out on the grid when the next frame comes.
type ageSampler struct {
	captured frame.ReceiverTime // of the newest frame, on the receiver's clock; 0 = unknown
	next     frame.ReceiverTime // next point of the grid
}

// frame advances to a delivery at now and goes on from a frame captured then.
func (a *ageSampler) frame(d *dist, captured, now frame.ReceiverTime) {
	a.advance(d, now)
	if a.captured == 0 || captured > a.captured {
		a.captured = captured
	}
	if a.next == 0 {
		a.next = now
	}
}

// advance samples all points of the grid before now.
func (a *ageSampler) advance(d *dist, now frame.ReceiverTime) {
	if a.captured == 0 || a.next == 0 {
		return
	}
	for ; a.next < now; a.next += frame.ReceiverTime(ageStep) {
		d.add(a.next.Sub(a.captured))
	}
}

// stop ends sampling until the next frame: nobody expects one from a camera that
// said goodbye.
func (a *ageSampler) stop() { *a = ageSampler{} }

// Freezes, by the definition of W3C webrtc-stats: a gap between two frames of at
// least max(3 x mean gap, mean gap + 150 ms), the mean being of the last 30 gaps.
const (
	freezeWindow = 30
	freezeExtra  = 150 * time.Millisecond
)

type freezes struct {
	last frame.ReceiverTime
	gaps [freezeWindow]time.Duration
	n    int
	sum  time.Duration

	count   int
	total   time.Duration
	longest time.Duration
}

func (z *freezes) frame(at frame.ReceiverTime) {
	if z.last == 0 {
		z.last = at
		return
	}
	gap := at.Sub(z.last)
	z.last = at
	if z.n >= freezeWindow/3 {
		mean := z.sum / time.Duration(min(z.n, freezeWindow))
		if gap >= max(3*mean, mean+freezeExtra) {
			z.count++
			z.total += gap
		}
	}
	z.longest = max(z.longest, gap)
	i := z.n % freezeWindow
	if z.n >= freezeWindow {
		z.sum -= z.gaps[i]
	}
	z.gaps[i] = gap
	z.sum += gap
	z.n++
}

// newRecord keeps what the mean is made of and starts counting anew.
func (z *freezes) newRecord() { z.count, z.total, z.longest = 0, 0, 0 }

// stop forgets the last frame: the pause until the next one is no freeze.
func (z *freezes) stop() { z.last = 0 }

// jitter is the interarrival jitter of RFC 3550, section 6.4.1, from capture
// stamps and arrivals; it needs no relation between the clocks.
type jitter struct {
	transit int64
	have    bool
	j       float64 // ns
}

func (x *jitter) frame(captured frame.SenderTime, arrived frame.ReceiverTime) {
	transit := int64(arrived) - int64(captured)
	if x.have {
		d := transit - x.transit
		if d < 0 {
			d = -d
		}
		x.j += (float64(d) - x.j) / 16
	}
	x.transit, x.have = transit, true
}

func (x *jitter) stop() { x.have = false }

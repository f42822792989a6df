package netem

import (
	"math"
	"math/rand/v2"
	"time"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// fate is what becomes of a packet.
type fate uint8

const (
	delivered fate = iota
	droppedQueue
	lostRandom
	lostBurst
	lostOutage
)

// server is one direction in virtual time: no clock, no packets' contents. Times
// are since the link began. It is owned by one goroutine.
type server struct {
	path  Path
	limit int           // bytes in the queue
	epoch time.Duration // when schedules begin; never until the first data

	busyUntil time.Duration // when the last accepted packet leaves the queue
	lastDue   time.Duration // when the last delivered packet arrives: none overtakes it
	waiting   []departure   // accepted packets that have not left the queue
	queued    int           // their bytes
	maxQueued int

	chance *rand.Rand // random loss
	jitter *rand.Rand
	burst  gilbert
}

type departure struct {
	at   time.Duration
	size int
}

func newServer(p Path, seed uint64, direction uint64) *server {
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, direction<<8|n)) }
	s := &server{path: p, limit: p.Queue, epoch: never, chance: stream(1), jitter: stream(2)}
	if s.limit == 0 {
		s.limit = DefaultQueue
	}
	s.burst = gilbert{rng: stream(3), fraction: p.Burst.Fraction, mean: p.Burst.Mean}
	return s
}

// change replaces the path. Chance goes on from where it is.
func (s *server) change(p Path) {
	s.path, s.limit = p, p.Queue
	if s.limit == 0 {
		s.limit = DefaultQueue
	}
	s.burst.fraction, s.burst.mean, s.burst.started = p.Burst.Fraction, p.Burst.Mean, false
}

// begin starts the schedules, once.
func (s *server) begin(now time.Duration) {
	if s.epoch == never {
		s.epoch = now
	}
}

// arrive takes a packet of size bytes that arrived at now (not before the one
// before it) and says what becomes of it and, if it is delivered, when.
func (s *server) arrive(now time.Duration, size int) (fate, time.Duration) {
	for len(s.waiting) > 0 && s.waiting[0].at <= now {
		s.queued -= s.waiting[0].size
		s.waiting = s.waiting[1:]
	}
	if s.queued+size > s.limit {
		return droppedQueue, 0
	}
	leaves := s.transmit(max(s.busyUntil, now), size)
	s.busyUntil = leaves
	if leaves > now {
		s.waiting = append(s.waiting, departure{leaves, size})
		s.queued += size
		s.maxQueued = max(s.maxQueued, s.queued)
	}

	// Draw for every packet, so that one cause does not change another's luck.
	unlucky := s.chance.Float64() < s.path.Loss
	extra := time.Duration(s.jitter.ExpFloat64() * float64(s.path.Jitter))
	bad := s.burst.bad(leaves)
	switch {
	case s.outage(leaves):
		return lostOutage, 0
	case bad:
		return lostBurst, 0
	case unlucky:
		return lostRandom, 0
	}
	due := max(leaves+s.path.Delay+extra, s.lastDue)
	s.lastDue = due
	return delivered, due
}

// transmit returns when size bytes are through if they begin at start, at the
// rates that hold in between.
func (s *server) transmit(start time.Duration, size int) time.Duration {
	bits := float64(size) * 8
	at := start
	for {
		rate, until := s.rate(at)
		if rate == 0 { // held
			at = until
			continue
		}
		if rate == unlimited {
			return at
		}
		needs := time.Duration(math.Ceil(bits / float64(rate) * 1e9))
		if until == never || at+needs <= until {
			return at + needs
		}
		bits -= float64(until-at) / 1e9 * float64(rate)
		at = until
	}
}

const unlimited = int64(math.MaxInt64)

// rate is the rate at a time, and until when it holds: 0 during an outage that
// holds packets.
func (s *server) rate(at time.Duration) (rate int64, until time.Duration) {
	rate, until = s.path.Rate, never
	if rate == 0 {
		rate = unlimited
	}
	if s.epoch == never {
		return rate, never
	}
	// The span [from, to) either contains at and decides, or begins later and
	// limits how long the present rate holds.
	span := func(r int64, from, to time.Duration) {
		from, to = s.epoch+from, s.epoch+to
		switch {
		case at >= from && at < to:
			rate, until = r, min(until, to)
		case from > at:
			until = min(until, from)
		}
	}
	for _, step := range s.path.Steps {
		span(step.Rate, step.From, step.To)
	}
	for _, o := range s.path.Outages {
		if o.Hold {
			span(0, o.At, o.At+o.For)
		}
	}
	return rate, until
}

// outage reports whether packets are lost at a time.
func (s *server) outage(at time.Duration) bool {
	if s.epoch == never {
		return false
	}
	for _, o := range s.path.Outages {
		if from := s.epoch + o.At; !o.Hold && at >= from && at < from+o.For {
			return true
		}
	}
	return false
}

// gilbert is the two-state process of bursty loss, in time.
type gilbert struct {
	rng      *rand.Rand
	fraction float64       // of time spent in the bad state
	mean     time.Duration // of a stay in the bad state

	started bool
	isBad   bool
	until   time.Duration // when the present state ends
}

// bad advances the process to a time, which must not go backwards.
func (g *gilbert) bad(at time.Duration) bool {
	if g.fraction <= 0 {
		return false
	}
	if !g.started {
		g.started = true
		g.isBad = g.rng.Float64() < g.fraction
		g.until = g.stay()
	}
	for g.until <= at {
		g.isBad = !g.isBad
		g.until += g.stay()
	}
	return g.isBad
}

func (g *gilbert) stay() time.Duration {
	mean := float64(g.mean)
	if !g.isBad {
		mean *= (1 - g.fraction) / g.fraction
	}
	return time.Duration(g.rng.ExpFloat64()*mean) + 1
}

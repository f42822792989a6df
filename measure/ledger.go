package measure

import "framepipe/frame"

// Ledger accounts for every frame that a camera produced since this receiver
// first met it: delivered, or lost for exactly one cause. What a sender knows
// travels with its frames; what was given to a connection and did not arrive
// follows from the difference.
type Ledger struct {
	Offered   uint64
	Delivered uint64
	Lost      [frame.NumCauses]uint64
}

// LostTotal adds up all causes.
func (l *Ledger) LostTotal() uint64 {
	var n uint64
	for _, v := range l.Lost {
		n += v
	}
	return n
}

// Imbalance is Offered - Delivered - LostTotal. Anything but zero is a frame that
// nobody can account for, and a bug.
func (l *Ledger) Imbalance() int64 { return int64(l.Offered - l.Delivered - l.LostTotal()) }

// Minus is l-m, field by field: what happened in between.
func (l Ledger) Minus(m Ledger) Ledger {
	l.Offered -= m.Offered
	l.Delivered -= m.Delivered
	for i := range l.Lost {
		l.Lost[i] -= m.Lost[i]
	}
	return l
}

// ByCause lists the causes that occurred, for JSON and people.
func (l *Ledger) ByCause() map[string]uint64 {
	m := make(map[string]uint64)
	for c, v := range l.Lost {
		if v != 0 {
			m[frame.Cause(c).String()] = v
		}
	}
	return m
}

// book keeps a Ledger over the sessions of one camera. A session is one life of
// a sender; its counters are cumulative, and base is where this receiver came in.
type book struct {
	closed Ledger // sessions that ended
	before uint64 // frames that were offered in the first session before this receiver came in
	met    bool   // before is known

	started   bool
	base      frame.Counts
	last      frame.Counts
	received  uint64 // of the current session: complete frames, delivered or refused
	delivered uint64
	bus       uint64 // of those sent and not received: swallowed between two receivers
}

// session ends the current session and begins another, whose account starts at
// these counters; nil if they are not known before the first frame.
func (b *book) session(base *frame.Counts) {
	b.closed = b.ledger()
	b.started, b.base, b.last, b.received, b.delivered, b.bus = false, frame.Counts{}, frame.Counts{}, 0, 0, 0
	if base != nil {
		b.started, b.base, b.last = true, *base, *base
		if !b.met {
			b.met, b.before = true, base.Offered
		}
	}
}

// frame books one complete frame, whose counters say where the frames before it went.
func (b *book) frame(c *frame.Counts, delivered bool) {
	if !b.started {
		b.started = true
		b.base = *c
		b.base.Offered--
		b.base.Sent--
	}
	b.received++
	if delivered {
		b.delivered++
	}
	// A frame that is refused for being older than one before it carries older
	// counters; the newest are the ones that hold.
	if c.Sent >= b.last.Sent {
		b.last = *c
	}
}

// counts books a sender's counters that came without a frame.
func (b *book) counts(c *frame.Counts) {
	if b.started && c.Sent >= b.last.Sent && c.Offered >= b.last.Offered {
		b.last = *c
	}
}

// plain books a frame of a stream that carries no counters: all that is known to
// have been offered is what arrived.
func (b *book) plain(delivered bool) {
	c := b.last
	c.Offered++
	c.Sent++
	b.frame(&c, delivered)
}

// swallowed is what connections were given and never arrived, or is on its way;
// 0 where a peer's counters make less of it, which they must not.
func (b *book) swallowed() uint64 {
	n := b.closed.Lost[frame.LostConnection]
	if b.started {
		n += b.last.Sent - b.base.Sent - b.received - b.bus
	}
	return uint64(max(int64(n), 0))
}

func (b *book) ledger() Ledger {
	l := b.closed
	if !b.started {
		return l
	}
	d := b.last.Minus(b.base)
	l.Offered += d.Offered
	l.Delivered += b.delivered
	for i, v := range d.Lost {
		l.Lost[i] += v
	}
	l.Lost[frame.LostReceiver] += b.received - b.delivered
	l.Lost[frame.LostBus] += b.bus
	l.Lost[frame.LostConnection] += d.Sent - b.received - b.bus
	return l
}

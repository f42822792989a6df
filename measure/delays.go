package measure

import (
	"time"

	"framepipe/frame"
)

// DelayBounds are the upper bounds of the buckets of Delays, from a tenth of a
// millisecond to ten seconds. What is longer falls into a bucket of its own.
var DelayBounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// Delays counts delays by size over the whole run. Unlike the distributions of
// records, which begin anew with each and have percentiles of three digits, it
// only ever grows, as monitoring systems need it, and is small enough to be
// copied while the stream runs.
type Delays struct {
	Counts [len(DelayBounds) + 1]uint64 // of delays up to each bound and beyond the one before; the last: beyond all
	Sum    time.Duration
}

// add is on the frame path: most delays are short, so it looks from below. A
// delay below zero, which an error of the clock offset makes, counts as zero.
func (d *Delays) add(v time.Duration) {
	v = max(v, 0)
	i := 0
	for i < len(DelayBounds) && v > DelayBounds[i] {
		i++
	}
	d.Counts[i]++
	d.Sum += v
}

// Totals is what happened over the whole run, all of which only grows, and what
// is known of the newest frame.
type Totals struct {
	// Ledger is the account without the frames that are on their way: what a
	// connection swallowed is counted once a later frame has come or the session
	// is over, and is not taken back when the frame was a straggler that a second
	// connection overtook. So it can differ from Meter.Ledger by a few frames.
	Ledger  Ledger
	Bytes   int64 // of delivered frames
	Freezes int
	Stages  [NumStages]Delays

	Imbalance     int64          // of Meter.Ledger
	Width, Height int            // of the newest frame
	Age           *time.Duration // of the newest frame; nil = unknown, or none is expected
}

// Totals copies them.
func (m *Meter) Totals(now frame.ReceiverTime) Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := Totals{Ledger: m.book.ledger(), Bytes: m.total.bytes, Freezes: m.total.freezes, Stages: m.total.stages, Width: m.lastMeta.Width, Height: m.lastMeta.Height}
	t.Imbalance = t.Ledger.Imbalance()
	if m.age.captured != 0 {
		age := now.Sub(m.age.captured)
		t.Age = &age
	}
	t.Ledger.Lost[frame.LostConnection] = m.total.swallowed
	return t
}

// settle is told that every frame before the newest booked one has arrived or never will.
func (m *Meter) settle() { m.total.swallowed = max(m.total.swallowed, m.book.swallowed()) }

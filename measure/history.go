package measure

import (
	"time"

	"framepipe/frame"
)

// HistoryLength is how many seconds a Meter and a Display remember, for charts.
const HistoryLength = 600

// Second is what happened within one second of the receiver's clock. Its bounds
// are whole seconds of that clock, so that the seconds of a Meter and of a
// Display match.
type Second struct {
	Start  frame.ReceiverTime
	Frames int
	Bytes  int64
	Stages [NumStages]Mean
	// Lost is by cause. It can be negative: what a connection seemed to have
	// swallowed may still arrive.
	Lost [frame.NumCauses]int64
}

// Mean is a mean of delays that is made one by one.
type Mean struct {
	Sum   time.Duration
	Count int
}

func (m *Mean) add(d time.Duration) {
	m.Sum += max(d, 0)
	m.Count++
}

// Millis is the mean; false if there was nothing to take it of.
func (m Mean) Millis() (float64, bool) {
	if m.Count == 0 {
		return 0, false
	}
	return millis(m.Sum) / float64(m.Count), true
}

// ring keeps the newest seconds. T must know its start.
type ring[T any] struct {
	closed [HistoryLength]T
	n      int // closed ones ever
	start  frame.ReceiverTime
	open   T
}

const second = frame.ReceiverTime(time.Second)

// at is the open second, which contains now. Close is told each second that
// ended before; seconds without anything are closed as well.
func (r *ring[T]) at(now frame.ReceiverTime, begin func(*T, frame.ReceiverTime), end func(*T)) *T {
	if r.start == 0 || now >= r.start+(HistoryLength+1)*second {
		*r = ring[T]{start: now - now%second}
		begin(&r.open, r.start)
	}
	for now >= r.start+second {
		end(&r.open)
		r.closed[r.n%HistoryLength] = r.open
		r.n++
		r.start += second
		var zero T
		r.open = zero
		begin(&r.open, r.start)
	}
	return &r.open
}

// list appends the closed seconds, oldest first.
func (r *ring[T]) list() []T {
	n := min(r.n, HistoryLength)
	out := make([]T, 0, n)
	for i := r.n - n; i < r.n; i++ {
		out = append(out, r.closed[i%HistoryLength])
	}
	return out
}

// history is a Meter's.
type history struct {
	ring[Second]
	ledger Ledger // at the beginning of the open second
	have   bool
}

func (h *history) roll(now frame.ReceiverTime, b *book) *Second {
	if !h.have {
		h.ledger, h.have = b.ledger(), true
	}
	return h.at(now, func(s *Second, start frame.ReceiverTime) { s.Start = start }, func(s *Second) {
		l := b.ledger()
		for i := range l.Lost {
			s.Lost[i] = int64(l.Lost[i] - h.ledger.Lost[i])
		}
		h.ledger = l
	})
}

// History lists the last complete seconds, oldest first, at most HistoryLength.
func (m *Meter) History(now frame.ReceiverTime) []Second {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.total.first == 0 {
		return nil
	}
	m.history.roll(now, &m.book)
	return m.history.list()
}

package stream

import (
	"context"
	"sync"

	"framepipe/frame"
)

// Mailbox holds the newest frame between the capture loop and the send loop, and
// the sender's ledger with it: each frame that is put is taken, or replaced by a
// newer one and counted. One goroutine puts, one takes.
type Mailbox struct {
	mu     sync.Mutex
	next   *frame.Frame // guarded by mu, as all below
	busy   bool         // the taker has a frame it has not finished
	online bool         // somebody is there to send to
	source frame.Counts // what the source and the capture loop have counted as of the newest frame
	lost   [frame.SenderCauses]uint64
	sent   uint64
	now    func(*frame.Frame) bool // sends a frame at once if it can; nil = nobody does

	ready chan struct{} // one token: a frame was put
	idle  chan struct{} // one token: the taker finished, or went offline
}

// NewMailbox returns an empty mailbox that is offline.
func NewMailbox() *Mailbox {
	return &Mailbox{ready: make(chan struct{}, 1), idle: make(chan struct{}, 1)}
}

// Put replaces what is in the mailbox; it takes over the caller's reference. The
// frame's Counts hold what is known before it: Offered, and losses by causes that
// come before sending. Where somebody is there who can send the frame at once, on this
// goroutine, it is not put anywhere.
func (m *Mailbox) Put(f *frame.Frame) {
	m.mu.Lock()
	if now := m.now; now != nil {
		m.mu.Unlock()
		if now(f) {
			return
		}
		m.mu.Lock()
	}
	old := m.next
	m.next = f
	m.source = f.Counts
	if old != nil {
		m.drop()
	}
	m.mu.Unlock()
	if old != nil {
		old.Release()
	}
	signal(m.ready)
}

// drop counts the frame that leaves the mailbox without being sent; the caller
// holds mu.
func (m *Mailbox) drop() {
	if m.online {
		m.lost[frame.LostStale]++
	} else {
		m.lost[frame.LostOffline]++
	}
}

// Account books what the source has counted since its last frame.
func (m *Mailbox) Account(c frame.Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source = c
}

// Wait returns when a frame is there.
func (m *Mailbox) Wait(ctx context.Context) error {
	for {
		if m.waiting() {
			return nil
		}
		select {
		case <-m.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Take returns the newest frame with complete Counts, or nil if there is none.
// The caller owns it, and calls Finish when it is done with it.
func (m *Mailbox) Take() *frame.Frame {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.next
	if f == nil {
		return nil
	}
	m.next = nil
	m.busy = true
	m.sent++
	f.Counts = m.counts()
	signal(m.idle)
	return f
}

// Pass is Put and Take in one: it counts f as taken and completes its Counts, unless
// another frame waits or is being sent, or nobody is there to send to.
func (m *Mailbox) Pass(f *frame.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next != nil || m.busy || !m.online {
		return false
	}
	m.source = f.Counts
	m.busy = true
	m.sent++
	f.Counts = m.counts()
	return true
}

// DropBefore throws away the waiting frame, past its deadline, if it was captured
// before t, and reports whether it did.
func (m *Mailbox) DropBefore(t frame.SenderTime) bool {
	m.mu.Lock()
	old := m.next
	if old == nil || old.Captured == 0 || old.Captured >= t {
		m.mu.Unlock()
		return false
	}
	m.next = nil
	m.lost[frame.LostDeadline]++
	m.mu.Unlock()
	old.Release()
	signal(m.idle)
	return true
}

// waiting reports whether a frame is there.
func (m *Mailbox) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.next != nil
}

// Finish says that the frame that was taken is on its way.
func (m *Mailbox) Finish() {
	m.mu.Lock()
	m.busy = false
	m.mu.Unlock()
	signal(m.idle)
}

// WaitIdle returns when nothing waits and nothing is being sent. While nobody is
// there to send to, it returns at once, so that a camera runs on. Patient is for
// sources whose frames do not grow old: it waits for somebody to send to, but not
// for a frame that is being sent, beside which the next one can be made ready.
func (m *Mailbox) WaitIdle(ctx context.Context, patient bool) error {
	for {
		m.mu.Lock()
		ok := !m.online && !patient || m.online && m.next == nil && (patient || !m.busy)
		m.mu.Unlock()
		if ok {
			return ctx.Err()
		}
		select {
		case <-m.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SetOnline says whether a receiver is connected, and what Put may send frames with:
// now owns a frame for which it reports true, and never waits; it may be nil, and is
// still called for a frame that is just being put when it is replaced. Frames that are
// replaced while no receiver is connected count as lost for that.
func (m *Mailbox) SetOnline(on bool, now func(*frame.Frame) bool) {
	m.mu.Lock()
	m.online, m.now = on, now
	if !on {
		m.busy = false
	}
	m.mu.Unlock()
	signal(m.idle)
}

// WaitOnline returns when somebody is there to send to.
func (m *Mailbox) WaitOnline(ctx context.Context) error {
	for {
		m.mu.Lock()
		on := m.online
		m.mu.Unlock()
		if on {
			return nil
		}
		select {
		case <-m.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// counts adds up source, mailbox and sent; the caller holds mu, and nothing waits.
func (m *Mailbox) counts() frame.Counts {
	c := m.source
	c.Sent = m.sent
	for i, n := range m.lost {
		c.Lost[i] += n
	}
	return c
}

// Counts is the ledger without the frame that waits, whose fate is open: it
// balances.
func (m *Mailbox) Counts() frame.Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts()
	if m.next != nil {
		c.Offered--
	}
	return c
}

// Close throws away the waiting frame, as stale.
func (m *Mailbox) Close() {
	m.mu.Lock()
	old := m.next
	m.next = nil
	if old != nil {
		m.lost[frame.LostStale]++
	}
	m.mu.Unlock()
	if old != nil {
		old.Release()
	}
}

// signal leaves one token in a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

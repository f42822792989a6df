package stream

import (
	"context"
	"net"
	"sync"
	"time"

	"framepipe/internal/tcpq"
)

// When a link comes back after an outage, TCP notices late: its retransmission
// timer has backed off to most of a second. A fresh SYN notices at once. So when
// nothing was acknowledged for stallAfter while a frame is on the way, new
// connections are dialled in parallel, one each redialEvery (a lost SYN alone
// waits a second, so each is given up after dialPatience), and the first that
// reaches the receiver takes over.
const (
	stallAfter  = 300 * time.Millisecond
	stallBlind  = 2 * time.Second // where the kernel does not tell whether bytes move
	stallLook   = 25 * time.Millisecond
	redialEvery = 50 * time.Millisecond
	redialMost  = 16 // dials at once

	dialPatience = 700 * time.Millisecond
)

// watch returns when the connection stalls and another one has taken over, or
// when ctx ends (nil).
func (s *Sender) watch(ctx context.Context, c *senderConn) *senderConn {
	if s.cfg.V0 {
		return nil
	}
	look := tcpq.NewProbe(c.Conn)
	t := time.NewTimer(stallAfter)
	defer t.Stop()
	var st stall
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		// Not more often than needed: on an idle Raspberry Pi every look costs as much
		// as a few frames' system calls.
		left := st.left(c, look)
		t.Reset(max(left+time.Millisecond, stallLook))
		if !s.Policy().rescue || left >= 0 {
			continue
		}
		s.cfg.Log.Debug("nothing is acknowledged, dialling anew", "receiver", s.cfg.Address)
		if n := s.redial(ctx, func() bool { return st.left(c, look) >= 0 }); n != nil {
			s.rescues.Add(1)
			return n
		}
	}
}

// stall decides whether a connection stands still. A slow link moves bytes all
// the time, however long a frame takes.
type stall struct {
	acked uint64    // bytes, as of moved
	moved time.Time // when acked last changed
}

// left is how long it takes at least until the connection counts as stalled, less than
// nothing if it does.
func (st *stall) left(c *senderConn, look tcpq.Probe) time.Duration {
	now := time.Now()
	patience := stallBlind
	if look != nil {
		if info, err := look.Info(); err == nil {
			patience = stallAfter
			if info.Acked != st.acked || st.moved.IsZero() {
				// It may be long ago: the last look was.
				st.acked, st.moved = info.Acked, now.Add(-time.Duration(info.LastAck)*time.Millisecond)
			}
		}
	}
	oldest, heard, ok := c.flight.oldest()
	if !ok { // a frame that is sent now has all the time
		return patience
	}
	last := oldest.at
	for _, t := range []time.Time{heard, st.moved} {
		if t.After(last) {
			last = t
		}
	}
	return patience - now.Sub(last)
}

// redial dials until a connection is welcome, or the old one has revived (nil).
// Only one of the new connections at a time says hello: the receiver drops the
// older one for the newer.
func (s *Sender) redial(ctx context.Context, revived func() bool) *senderConn {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	connected := make(chan net.Conn, redialMost)
	slots := make(chan struct{}, redialMost)
	dial := func() {
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			c, cancel := context.WithTimeout(ctx, dialPatience)
			defer cancel()
			nc, err := s.cfg.Dial(c, "tcp", s.cfg.Address)
			if err != nil {
				return
			}
			select {
			case connected <- nc:
			case <-ctx.Done():
				nc.Close()
			}
		})
	}
	defer func() {
		go func() { wg.Wait(); close(connected) }()
		for nc := range connected { // those that came second
			nc.Close()
		}
	}()
	defer cancel()
	again := time.NewTicker(redialEvery)
	defer again.Stop()
	look := time.NewTicker(stallLook)
	defer look.Stop()
	dial()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
			dial()
		case <-look.C:
			if revived() {
				return nil
			}
		case nc := <-connected:
			if revived() {
				nc.Close()
				return nil
			}
			if c, err := s.introduce(ctx, nc); err == nil {
				return c
			}
		}
	}
}

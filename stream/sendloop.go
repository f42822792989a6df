package stream

import (
	"context"
	"net"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/internal/rawio"
	"framepipe/wire"
)

// atOnce is how a frame is sent by the goroutine that brings it, so that nobody need
// be woken: on an idle machine of two processors that costs 0.05 ms of processor time,
// and Go wakes another thread beside. Whatever would have to wait is left to the send
// loop: a frame for which there is no room yet, and the rest of one that went out in
// part.
type atOnce struct {
	writer *rawio.Writer // nil where a write cannot be tried without waiting, as with TLS

	turn sync.Mutex   // taken by who sends a frame, before it takes it from the mailbox: frames keep their order
	rest *frame.Frame // guarded by turn; out in part, and senderConn.mu is held until the send loop has written what senderConn.parts still has
	err  error        // guarded by turn; of a write that the send loop does not know of
	over bool         // guarded by turn; the send loop has ended
}

// atOnce returns what sends on c without waiting, nil if nothing can.
func (s *Sender) atOnce(c *senderConn) func(*frame.Frame) bool {
	if c.now.writer == nil {
		return nil
	}
	return func(f *frame.Frame) bool { return s.sendAtOnce(c, f) }
}

// sendAtOnce sends f on the goroutine that brings it, and releases it, or reports
// false.
func (s *Sender) sendAtOnce(c *senderConn, f *frame.Frame) bool {
	now := &c.now
	if !now.turn.TryLock() {
		return false
	}
	defer now.turn.Unlock()
	p := s.Policy()
	switch {
	case now.over, now.rest != nil, now.err != nil, s.enough(), s.box.waiting():
		return false
	case p.inFlight > 0 && c.flight.len() >= p.inFlight, p.gated && !c.gate.Ready():
		return false
	case p.deadline > 0 && f.Captured != 0 && f.Captured < frame.SenderNow()-frame.SenderTime(p.deadline):
		return false
	case !c.mu.TryLock():
		return false
	}
	if c.broken || !s.box.Pass(f) {
		c.mu.Unlock()
		return false
	}
	s.begin(c, f)
	c.parts = [2][]byte{c.header, f.Data}
	n, err := now.writer.Write(c.parts[:])
	if err == nil && n < len(c.header)+len(f.Data) {
		for i := range c.parts {
			k := min(n, len(c.parts[i]))
			c.parts[i], n = c.parts[i][k:], n-k
		}
		now.rest = f
		signal(s.box.ready)
		return true
	}
	s.end(c, f, err)
	c.mu.Unlock()
	f.Release()
	s.box.Finish()
	if err != nil || s.enough() {
		now.err = err
		signal(s.box.ready) // the send loop has something to end for
	}
	return true
}

// sendLoop sends frames until something ends; errEnded says that nothing is left.
func (s *Sender) sendLoop(ctx context.Context, c *senderConn) error {
	defer func() {
		c.now.turn.Lock()
		defer c.now.turn.Unlock()
		c.now.over = true
		if c.now.rest != nil { // whoever ends the connection does so in order if it can
			c.armed = time.Now() // and has set the deadline, or is about to
			s.sendRest(c)
		}
	}()
	for {
		if err := s.waitFrame(ctx, c); err != nil {
			return err
		}
		if err := s.sendNext(ctx, c); err != nil {
			return err
		}
	}
}

// sendNext sends what there is, if it still is.
func (s *Sender) sendNext(ctx context.Context, c *senderConn) error {
	c.now.turn.Lock()
	defer c.now.turn.Unlock()
	if c.now.err != nil {
		return c.now.err
	}
	if err := s.sendRest(c); err != nil {
		return err
	}
	if s.enough() {
		return errEnded
	}
	if !s.box.waiting() {
		return nil
	}
	p := s.Policy()
	if err := c.open(ctx, p); err != nil {
		return err
	}
	if p.deadline > 0 && s.box.DropBefore(frame.SenderNow()-frame.SenderTime(p.deadline)) {
		return nil
	}
	f := s.box.Take()
	if f == nil {
		return nil
	}
	err := s.sendFrame(c, f)
	f.Release()
	s.box.Finish()
	if err == nil && s.enough() {
		err = errEnded
	}
	return err
}

// enough reports whether as many frames were sent as are wanted.
func (s *Sender) enough() bool { return s.cfg.Frames > 0 && s.box.Counts().Sent >= s.cfg.Frames }

// waitFrame is Mailbox.Wait, but it returns as well when there is something to be
// finished, and ends when the source does.
func (s *Sender) waitFrame(ctx context.Context, c *senderConn) error {
	for {
		if s.box.waiting() || c.unfinished() || s.enough() {
			return nil
		}
		if s.isEnded() {
			return errEnded
		}
		select {
		case <-s.box.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unfinished reports whether something is left to the send loop.
func (c *senderConn) unfinished() bool {
	c.now.turn.Lock()
	defer c.now.turn.Unlock()
	return c.now.rest != nil || c.now.err != nil
}

// sendRest finishes a frame that is out in part; the caller holds turn.
func (s *Sender) sendRest(c *senderConn) error {
	f := c.now.rest
	if f == nil {
		return nil
	}
	defer c.mu.Unlock()
	c.now.rest = nil
	err := c.write(c.parts[0], c.parts[1])
	s.end(c, f, err)
	f.Release()
	s.box.Finish()
	return err
}

// sendFrame sends a frame, waiting as long as it takes.
func (s *Sender) sendFrame(c *senderConn, f *frame.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.begin(c, f)
	if c.broken {
		return net.ErrClosed
	}
	err := c.write(c.header, f.Data)
	s.end(c, f, err)
	return err
}

// begin makes the header of a frame that is to be written now; the caller holds mu.
func (s *Sender) begin(c *senderConn, f *frame.Frame) {
	f.SendStarted = frame.SenderNow()
	if s.cfg.V0 {
		c.header = wire.AppendV0(c.header[:0], uint32(len(f.Data)))
	} else {
		c.header = wire.AppendFrame(c.header[:0], &f.Meta, len(f.Data))
	}
	c.frames++
	c.flight.sent(f.Seq, len(f.Data))
}

// end books a frame that was written, or could not be; the caller holds mu.
func (s *Sender) end(c *senderConn, f *frame.Frame, err error) {
	c.broken = c.broken || err != nil
	c.wrote = time.Now()
	s.bytes.Add(uint64(len(f.Data)))
}

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/internal/secure"
	"framepipe/mjpeg"
	"framepipe/wire"
)

// Times that a receiver keeps.
const (
	firstPings   = 5 // clock exchanges before a camera is welcomed, while the link is still idle
	pingAfter    = 500 * time.Millisecond
	pingQuiet    = time.Second
	ackEvery     = 2 * time.Millisecond // of frames that come faster, not each is acknowledged: an ack wakes a thread on each side
	replyTimeout = 5 * time.Second      // a peer that does not read what we write is given up
)

// feedConn is one connection at the receiver.
type feedConn struct {
	net.Conn          // set anew by the TLS handshake, before v1 is
	raw      net.Conn // the socket
	recv     *Receiver
	cfg      *ReceiverConfig
	log      *slog.Logger
	reader   *reader
	pool     frame.Pool
	feed     *Feed
	clock    *clocksync.Estimator
	v0       bool   // it has begun to send frames in the origin's format
	answer   string // our proof that we know the token; "" = none was asked for

	welcomed chan struct{} // closed when the handshake is over
	done     chan struct{} // closed when the connection's goroutine ends

	replaced atomic.Bool // a newer connection of the session took over
	v1       atomic.Bool
	received atomic.Uint64
	heard    atomic.Int64 // frame.ReceiverTime of the newest message

	mu     sync.Mutex
	out    []byte    // guarded by mu
	armed  time.Time // guarded by mu
	pinged time.Time // guarded by mu
	pingID uint64    // guarded by mu

	pending wire.Ack           // guarded by mu; of the newest frame
	late    bool               // guarded by mu; pending is yet to be written, and lateAck runs
	lateAck *time.Timer        // guarded by mu
	lastAck frame.ReceiverTime // guarded by mu; arrival of the frame that was last acknowledged
}

// send writes one whole message.
func (c *feedConn) send(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(b)
}

func (c *feedConn) write(b []byte) error {
	if now := time.Now(); now.Sub(c.armed) > time.Second {
		c.armed = now
		if err := c.SetWriteDeadline(now.Add(replyTimeout)); err != nil {
			return err
		}
	}
	_, err := c.Write(b)
	return err
}

// shutdown ends the connection from our side, in order: the sender gets a moment
// to answer, since closing with frames unread would reset the connection and
// could take our goodbye with it.
func (c *feedConn) shutdown() {
	if !c.v1.Load() {
		c.raw.Close()
		return
	}
	time.AfterFunc(byeTimeout/2, func() { c.Close() })
	c.sendBye(wire.ReasonDone, "the receiver ended")
}

func (c *feedConn) sendBye(reason wire.Reason, text string) {
	b := wire.Bye{Reason: reason, Received: c.received.Load()}
	_ = c.send(append(b.Append(nil, len(text)), text...)) // a courtesy: the connection ends anyway
}

func (c *feedConn) ping() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pingID++
	c.pinged = time.Now()
	p := wire.Ping{ID: c.pingID, T1: int64(frame.ReceiverNow())}
	c.out = p.Append(c.out[:0])
	return c.write(c.out)
}

func (c *feedConn) pong(h []byte) error {
	var p wire.Pong
	if err := p.Parse(h); err != nil {
		return err
	}
	c.clock.Add(clocksync.Sample{T1: frame.ReceiverTime(p.T1), T2: frame.SenderTime(p.T2), T3: frame.SenderTime(p.T3), T4: c.reader.filled})
	return nil
}

// serveV1 speaks v1 until the connection ends: nil after a goodbye.
func (r *Receiver) serveV1(ctx context.Context, c *feedConn, addr netip.Addr) error {
	if err := c.reader.preamble(); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(r.cfg.Handshake))
	var hello wire.Hello
	m, err := c.reader.message(r.cfg.MaxFrame)
	if err != nil {
		return err
	}
	if m.Type != wire.TypeHello {
		return fmt.Errorf("its first message is %v instead of HELLO", m.Type)
	}
	if err := hello.Parse(m.header); err != nil {
		return err
	}
	b, err := c.reader.text(m.Payload)
	if err != nil {
		return err
	}
	var text wire.HelloText
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("HELLO is not valid JSON: %w", err)
	}
	if hello.Session == 0 {
		return errors.New("HELLO with session 0")
	}
	if err := c.send(wire.Preamble[:]); err != nil {
		return err
	}
	c.v1.Store(true)
	if r.cfg.Admit != nil {
		p := Peer{Addr: addr, Hello: &text, TLS: tlsState(c.Conn)}
		if err := r.cfg.Admit(&p); err != nil {
			reason := wire.ReasonRefused
			if _, later := errors.AsType[*secure.ErrLater](err); later {
				reason = wire.ReasonBusy
			}
			c.sendBye(reason, err.Error())
			return err
		}
		c.answer = p.Answer
	}
	r.relieve(ctx, text.Name, hello.Session, addr)
	f, err := r.attach(c, text.Name, hello.Session, &hello.Counts)
	if err != nil {
		c.sendBye(wire.ReasonBusy, err.Error())
		return err
	}
	c.feed = f
	f.mu.Lock()
	c.clock = f.clock
	f.software, f.host, f.state, f.cipher = printable([]byte(text.Software)), printable([]byte(text.Host)), text.State, cipherOf(c.Conn)
	f.mu.Unlock()
	if err := c.firstSync(); err != nil {
		return err
	}
	if err := c.welcome(f, hello.Session, r.cfg.Software); err != nil {
		return err
	}
	close(c.welcomed)
	c.reader.armed = time.Time{} // the handshake's deadline is over, and may be nearer than the reader believes
	size := ""
	if text.State.Width > 0 {
		size = fmt.Sprintf("%dx%d", text.State.Width, text.State.Height)
	}
	log := c.log
	if cipher := cipherOf(c.Conn); cipher != "" {
		log = log.With("cipher", cipher)
	}
	log.Info("camera connected", "camera", f.name, "wire", "v1", "format", text.State.Format, "size", size)
	var wg sync.WaitGroup
	pinging, quiet := context.WithCancel(ctx)
	wg.Go(func() { c.pings(pinging) })
	defer wg.Wait()
	defer quiet() // else a camera that is gone would be noticed with the next ping only
	defer c.Close()
	return c.readLoop()
}

// firstSync relates the clocks before the first frame is on the way. A camera
// that comes back is known already, and should not wait.
func (c *feedConn) firstSync() error {
	if c.clock.Stats().Samples > 0 {
		return nil
	}
	for range firstPings {
		if err := c.ping(); err != nil {
			return err
		}
		m, err := c.reader.message(c.cfg.MaxFrame)
		if err != nil {
			return err
		}
		if m.Type == wire.TypePong {
			if err := c.pong(m.header); err != nil {
				return err
			}
		}
		if err := c.reader.skip(m.Payload); err != nil {
			return err
		}
	}
	return nil
}

func (c *feedConn) welcome(f *Feed, session uint64, software string) error {
	f.mu.Lock()
	w := wire.Welcome{Version: wire.Version, MaxFrame: uint32(c.cfg.MaxFrame), Session: session, LastSeq: f.lastSeq, Received: f.received}
	c.received.Store(w.Received)
	f.mu.Unlock()
	t := wire.WelcomeText{Name: f.name, Software: software}
	if c.answer != "" {
		t.Auth = &wire.Auth{Proof: c.answer}
	}
	text := mustJSON(t)
	return c.send(append(w.Append(nil, len(text)), text...))
}

// pings keeps the clocks related while no frame gives occasion to.
func (c *feedConn) pings(ctx context.Context) {
	t := time.NewTicker(pingQuiet)
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ctx.Done():
			return
		case <-t.C:
			c.mu.Lock()
			due := time.Since(c.pinged) >= pingQuiet
			c.mu.Unlock()
			if due && c.ping() != nil {
				return
			}
		}
	}
}

// readLoop reads messages until the connection ends.
func (c *feedConn) readLoop() error {
	for {
		m, err := c.reader.message(c.cfg.MaxFrame)
		if err != nil {
			if errors.Is(err, wire.ErrTooLarge) {
				c.sendBye(wire.ReasonProtocol, err.Error())
			}
			return err
		}
		c.heard.Store(int64(c.reader.filled))
		switch m.Type {
		case wire.TypeFrame:
			if err := c.frame(&m); err != nil {
				return err
			}
			continue
		case wire.TypePong:
			err = c.pong(m.header)
		case wire.TypePing: // ours do not ask, others may
			var p wire.Ping
			if err = p.Parse(m.header); err == nil {
				pong := wire.Pong{ID: p.ID, T1: p.T1, T2: int64(c.reader.filled), T3: int64(frame.ReceiverNow())}
				err = c.send(pong.Append(nil))
			}
		case wire.TypeReport:
			var r wire.Report
			if err = r.Parse(m.header); err == nil {
				c.feed.counted(&r.Counts)
			}
		case wire.TypeState:
			var id uint32
			if id, err = wire.ParseID(m.Type, m.header); err != nil {
				return err
			}
			var text []byte
			if text, err = c.reader.text(m.Payload); err != nil {
				return err
			}
			if err := c.feed.stateArrived(id, text); err != nil {
				return err
			}
			continue
		case wire.TypeBye:
			var b wire.Bye
			if err := b.Parse(m.header); err != nil {
				return err
			}
			c.feed.counted(&b.Counts)
			c.feed.Meter.End(frame.ReceiverNow())
			c.sendBye(wire.ReasonEnd, "goodbye")
			c.feed.detach(c, "the sender ended")
			c.log.Info("camera ended", "camera", c.feed.name)
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.reader.skip(m.Payload); err != nil {
			return err
		}
	}
}

// frame reads, checks, acknowledges and delivers one frame.
func (c *feedConn) frame(m *message) error {
	var meta frame.Meta
	if err := wire.ParseFrame(m.header, &meta); err != nil {
		return err
	}
	first := m.first
	f, rest, err := c.reader.payload(m.Payload)
	if err != nil {
		return err
	}
	defer f.Release()
	meta.FirstByte, meta.LastByte = first, c.reader.filled
	f.Meta = meta
	feed := c.feed
	feed.mu.Lock()
	old := f.Seq <= feed.lastSeq || feed.conn != c
	if !old {
		feed.lastSeq = f.Seq
	}
	feed.received++
	received := feed.received
	c.received.Store(received)
	if now := feed.conn; now != nil { // the one after this: its last word counts this frame, too
		now.received.Store(received)
	}
	feed.mu.Unlock()
	switch why := c.acceptable(f); {
	case why != nil:
		if errors.Is(why, errBomb) {
			c.recv.limits[limitPixels].Add(1)
		}
		feed.refused(&f.Counts, true)
		c.log.Warn("frame refused", "camera", feed.name, "frame", f.Seq, "cause", why)
	case old:
		feed.refused(&f.Counts, true)
	default:
		feed.deliver(f, true, c.clock)
	}
	return c.ack(f, received, rest) // viewers first
}

// acceptable refuses what would harm those behind us.
func (c *feedConn) acceptable(f *frame.Frame) error {
	if f.Format != frame.JPEG {
		return checkRaw(f, c.cfg.MaxPixels)
	}
	h, err := mjpeg.Header(f.Data)
	if err != nil {
		return err
	}
	if n := int64(h.Width) * int64(h.Height); n > c.cfg.MaxPixels {
		return fmt.Errorf("%w: JPEG claims %dx%d, --max-pixels allows %d", errBomb, h.Width, h.Height, c.cfg.MaxPixels)
	}
	f.Width, f.Height = h.Width, h.Height
	return nil
}

// ack acknowledges a frame; with the link idle for a moment, it is also the time
// to ask for the sender's clock. Of frames that come faster than ackEvery only
// some are acknowledged: the last one of a burst by a timer, late by that much.
func (c *feedConn) ack(f *frame.Frame, received uint64, rest int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = wire.Ack{Seq: f.Seq, FirstByte: f.FirstByte, LastByte: f.LastByte, Received: received, Rest: uint32(rest)}
	if f.LastByte.Sub(c.lastAck) < ackEvery {
		if !c.late {
			c.late = true
			if c.lateAck == nil {
				c.lateAck = time.AfterFunc(ackEvery, c.flushAck)
			} else {
				c.lateAck.Reset(ackEvery)
			}
		}
		return nil
	}
	return c.writeAck()
}

// flushAck writes the ack that was put off.
func (c *feedConn) flushAck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late {
		_ = c.writeAck() // the read loop will notice a broken connection
	}
}

// stopLateAck ends the timer; the connection is over.
func (c *feedConn) stopLateAck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = false
	if c.lateAck != nil {
		c.lateAck.Stop()
	}
}

// writeAck writes the pending ack, and a ping if one is due; the caller holds mu.
func (c *feedConn) writeAck() error {
	c.late = false
	c.lastAck = c.pending.LastByte
	c.out = c.pending.Append(c.out[:0])
	if now := time.Now(); now.Sub(c.pinged) >= pingAfter {
		c.pingID++
		c.pinged = now
		c.out = (&wire.Ping{ID: c.pingID, T1: int64(frame.ReceiverNow())}).Append(c.out)
	}
	return c.write(c.out)
}

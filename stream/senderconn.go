package stream

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"framepipe/frame"
	"framepipe/internal/tcpq"
	"framepipe/wire"
)

// senderConn is one connection of a sender. Who brings a frame or the send loop writes
// it, the reply loop everything else, each under mu for one whole message.
type senderConn struct {
	net.Conn
	reader  *reader // v1 only; owned by hello, then by the reply loop
	welcome wire.Welcome
	flight  *flight
	gate    *tcpq.Gate // nil where the kernel cannot be asked; owned by whoever has now.turn
	look    tcpq.Probe // the same; owned by who asks for the budget
	heard   tcpq.Probe // the same; owned by the reply loop
	now     atOnce

	tuneMu sync.Mutex
	system string // guarded by tuneMu; the congestion control that the connection began with
	quick  bool   // guarded by tuneMu; the retransmission timer's floor is ours

	endBy atomic.Pointer[time.Time] // when the program wants to be gone; nil = not told to stop

	telling sync.Mutex // of who looks at the state and sends it, taken before mu: nothing older follows an answer
	mu      sync.Mutex
	header  []byte      // guarded by mu
	parts   [2][]byte   // guarded by mu; what vec is made of
	vec     net.Buffers // guarded by mu; a field, because its address goes into an interface
	pongs   []byte      // guarded by mu
	armed   time.Time   // guarded by mu; when the write deadline was set
	wrote   time.Time   // guarded by mu; when the last frame was written
	frames  uint64      // guarded by mu
	broken  bool        // guarded by mu; nothing may follow: a message was written in part, or the goodbye
}

// write sends a header and a payload with one system call.
func (c *senderConn) write(header, payload []byte) error {
	if now := time.Now(); now.Sub(c.armed) > time.Second && c.endBy.Load() == nil { // else the deadline is set, and nearer
		c.armed = now
		if err := c.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
			return err
		}
	}
	var err error
	if len(payload) == 0 {
		_, err = c.Write(header)
	} else {
		c.parts[0], c.parts[1] = header, payload
		c.vec = c.parts[:]
		_, err = c.vec.WriteTo(c.Conn)
	}
	c.broken = c.broken || err != nil
	return err
}

// send writes a short message.
func (c *senderConn) send(message []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return net.ErrClosed
	}
	return c.write(message, nil)
}

// pong answers a ping that was just read. After our goodbye it does not, and the rest is
// read all the same: the receiver's own goodbye says how many frames arrived.
func (c *senderConn) pong(p wire.Ping) error {
	t2 := int64(c.reader.filled) // the same clock as t3: this machine's
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return nil
	}
	pong := wire.Pong{ID: p.ID, T1: p.T1, T2: t2, T3: int64(frame.SenderNow())}
	c.pongs = pong.Append(c.pongs[:0])
	return c.write(c.pongs, nil)
}

// tune applies the policy's and the congestion control's socket options.
func (s *Sender) tune(c *senderConn) {
	p := s.Policy()
	if err := tcpq.SetNotsentLowat(c.Conn, p.lowat); err != nil && p.lowat != 0 {
		s.cfg.Log.Info("TCP_NOTSENT_LOWAT cannot be set here: the kernel may queue old frames", "cause", err)
	}
	if p.gated && c.gate == nil {
		s.cfg.Log.Info("this system does not tell how much is queued: policy "+p.name+" works as newest", "receiver", s.cfg.Address)
	}
	// What was changed for one policy is taken back for another: a connection that
	// changed its settings must behave as one that began with them.
	c.tuneMu.Lock()
	defer c.tuneMu.Unlock()
	if c.system == "" {
		c.system = tcpq.Congestion(c.Conn)
	}
	switch {
	case !p.blocks && !s.cfg.KernelRTO:
		c.quick = tcpq.SetRTOMin(c.Conn, tcpq.RTOMin) == nil // older kernels have no such option; losses cost more time there
	case c.quick:
		_ = tcpq.SetRTOMin(c.Conn, tcpq.KernelRTOMin) // it was possible before
		c.quick = false
	}
	asked := *s.cong.Load()
	name := s.wantCongestion()
	if name == "system" && c.system != tcpq.Congestion(c.Conn) {
		name = c.system
	}
	if name != "system" && name != "" {
		if err := tcpq.SetCongestion(c.Conn, name); err != nil && asked != "" {
			s.cfg.Log.Warn("going on with the system's congestion control", "asked", name, "in_force", tcpq.Congestion(c.Conn), "cause", err)
		}
	}
	inForce := tcpq.Congestion(c.Conn)
	s.inForce.Store(&inForce)
}

// wantCongestion is the congestion control to ask for: what the user says, else
// bbr, which keeps queues short and carries on through random loss, but for a
// policy that is to behave as the origin.
func (s *Sender) wantCongestion() string {
	if name := *s.cong.Load(); name != "" {
		return name
	}
	if s.Policy().blocks {
		return "system"
	}
	return "bbr"
}

// serve runs one connection to its end: nil after a goodbye. If it stalled, next
// is the connection that took over.
func (s *Sender) serve(ctx context.Context, c *senderConn) (next *senderConn, err error) {
	s.tune(c)
	s.target.forget()
	s.conn.Store(c)
	s.connects.Add(1)
	log := s.cfg.Log
	if cipher := cipherOf(c.Conn); cipher != "" {
		log = log.With("cipher", cipher)
	}
	log.Info("connected", "receiver", s.peer(c), "wire", map[bool]string{true: "v0", false: "v1"}[s.cfg.V0],
		"policy", s.Policy().String(), "congestion", s.Congestion())
	run, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	hungUpOn := make(chan struct{})
	wg.Go(func() {
		defer close(hungUpOn)
		err := s.replies(run, c)
		cancel(err)
		c.SetWriteDeadline(time.Now()) // a send loop that is blocked in a write must notice
	})
	// Who stops the program must not wait for a frame that a dead link holds up.
	stop := context.AfterFunc(ctx, func() {
		end := time.Now().Add(byeTimeout)
		c.endBy.Store(&end)
		c.SetWriteDeadline(end)
	})
	defer stop()
	wg.Go(func() { s.reports(run, c) })
	wg.Go(func() {
		if next = s.watch(run, c); next == nil {
			return
		}
		cancel(errStalled)
		if tc, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
			tc.SetLinger(0) // what it still holds is old
		}
		c.Close() // also ends a write that blocks
	})
	wg.Go(func() { // the source's end must wake a send loop that waits for a frame
		select {
		case <-s.ended:
		case <-run.Done():
		}
		signal(s.box.ready)
	})
	s.PushState() // the connection is part of it
	s.box.SetOnline(true, s.atOnce(c))
	err = s.sendLoop(run, c)
	s.box.SetOnline(false, nil)
	s.conn.Store(nil)
	if errors.Is(err, errEnded) || ctx.Err() != nil {
		s.goodbye(c, hungUpOn)
		err = nil
	} else if cause := context.Cause(run); cause != nil {
		err = cause // why the other side ended says more than that writing failed
	}
	cancel(nil)
	c.Close()
	wg.Wait()
	if next != nil && (err == nil || ctx.Err() != nil) { // it ended just when another one took over
		next.Close()
		next = nil
	}
	if s.cfg.V0 && err != nil && c.frames > 0 && hungUp(err) && s.cfg.Retry == 0 {
		return nil, ErrReceiverClosed
	}
	return next, err
}

// errStalled ends a connection that another one took over from.
var errStalled = errors.New("the connection stalled")

// hungUp tells a receiver that closed from one that broke or went away.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// reports sends the counters while no frame carries them.
func (s *Sender) reports(ctx context.Context, c *senderConn) {
	if s.cfg.V0 {
		return
	}
	t := time.NewTicker(reportInterval)
	defer t.Stop()
	told := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			s.answer(c, 0, s.cfg.State)
			continue
		case <-t.C:
		}
		// The gate moves with the link; people are told when it has moved far.
		if now := c.gate.Limit(); 4*now > 5*told || 5*now < 4*told {
			told = now
			s.PushState()
		}
		// A frame that is being written now needs no report beside it.
		if !c.mu.TryLock() {
			continue
		}
		if c.broken {
			c.mu.Unlock()
			return
		}
		if time.Since(c.wrote) >= reportInterval {
			r := wire.Report{Now: frame.SenderNow(), Counts: s.box.Counts()}
			if c.write(r.Append(nil), nil) != nil {
				c.mu.Unlock()
				return // the loops will notice as well
			}
		}
		c.mu.Unlock()
	}
}

// replies reads what the receiver says, until it ends. It answers pings at once.
func (s *Sender) replies(ctx context.Context, c *senderConn) error {
	if s.cfg.V0 { // the origin's server never writes; reading finds out when it closes
		var b [512]byte
		for {
			if _, err := c.Read(b[:]); err != nil {
				return err
			}
		}
	}
	controls := make(chan controlRequest, 4)
	var wg sync.WaitGroup
	wg.Go(func() { s.controls(ctx, c, controls) })
	defer wg.Wait()
	defer close(controls)
	for {
		m, err := c.reader.message(0)
		if err != nil {
			return err
		}
		switch m.Type {
		case wire.TypeAck:
			var a wire.Ack
			if err := a.Parse(m.header); err != nil {
				return err
			}
			s.received.Store(a.Received)
			size := c.flight.ack(a)
			if s.target.latency > 0 && c.heard != nil {
				if info, err := c.heard.Info(); err == nil {
					s.target.acked(a, size, info.Retrans)
				}
			}
		case wire.TypePing:
			var p wire.Ping
			if err := p.Parse(m.header); err != nil {
				return err
			}
			if err := c.pong(p); err != nil {
				return err
			}
		case wire.TypeControl:
			id, err := wire.ParseID(m.Type, m.header)
			if err != nil {
				return err
			}
			text, err := c.reader.text(m.Payload)
			if err != nil {
				return err
			}
			select {
			case controls <- controlRequest{id, text}:
			default:
				s.answer(c, id, func() wire.StateText { return wire.StateText{Error: "too many changes at once: wait for the answers"} })
			}
			continue
		case wire.TypeBye:
			text, err := c.reader.text(m.Payload)
			if err != nil {
				return err
			}
			var b wire.Bye
			if err := b.Parse(m.header); err != nil {
				return err
			}
			s.received.Store(b.Received)
			c.answerBye(s.box.Counts())
			return &refusedError{reason: b.Reason, text: printable(text)}
		}
		if err := c.reader.skip(m.Payload); err != nil {
			return err
		}
	}
}

// answerBye says goodbye to a receiver that ended the connection, unless a frame
// is just being written: then it will see the end of the connection instead.
func (c *senderConn) answerBye(counts frame.Counts) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.broken {
		return
	}
	const text = "goodbye"
	b := wire.Bye{Reason: wire.ReasonEnd, Counts: counts}
	if c.write(append(b.Append(nil, len(text)), text...), nil) == nil {
		c.broken = true // nothing may follow
	}
}

type controlRequest struct {
	id   uint32
	text []byte
}

// controls applies changes one after another; the camera may take its time.
func (s *Sender) controls(ctx context.Context, c *senderConn, requests <-chan controlRequest) {
	for r := range requests {
		var set wire.Settings
		var state wire.StateText
		if err := json.Unmarshal(r.text, &set); err != nil {
			state = s.cfg.State()
			state.Error = "settings are not valid JSON: " + err.Error()
		} else if s.cfg.Control == nil {
			state = s.cfg.State()
			state.Error = "this camera takes no settings"
		} else {
			state = s.cfg.Control(ctx, set)
		}
		s.answer(c, r.id, func() wire.StateText { return state })
	}
}

// answer sends a state; a connection that broke meanwhile is noticed elsewhere.
func (s *Sender) answer(c *senderConn, id uint32, state func() wire.StateText) {
	c.telling.Lock()
	defer c.telling.Unlock()
	text := mustJSON(state())
	_ = c.send(append(wire.AppendState(nil, id, len(text)), text...))
}

// PushState has the receiver told that something changed by itself. It returns at
// once: the capture loop calls it, which must not wait for a connection.
func (s *Sender) PushState() { signal(s.changed) }

// goodbye ends a connection in order and waits a moment for the answer, which
// tells how many frames arrived.
func (s *Sender) goodbye(c *senderConn, hungUpOn <-chan struct{}) {
	s.box.Close()
	c.mu.Lock()
	if c.broken { // in the middle of a frame no other message can be said
		c.mu.Unlock()
		return
	}
	end := time.Now().Add(byeTimeout)
	if told := c.endBy.Load(); told != nil {
		end = *told
	}
	c.SetWriteDeadline(end)
	c.armed = time.Now()
	var err error
	if s.cfg.V0 {
		err = c.write(wire.AppendV0(nil, 0), nil)
	} else {
		b := wire.Bye{Reason: wire.ReasonEnd, Counts: s.box.Counts()}
		const text = "the sender ended"
		err = c.write(append(b.Append(nil, len(text)), text...), nil)
	}
	c.broken = true
	c.mu.Unlock()
	if err != nil {
		return
	}
	if tc, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		tc.CloseWrite() // what is still queued is delivered before the end
	}
	c.SetReadDeadline(end)
	select {
	case <-hungUpOn: // the reply loop got the answer, or the other side closed
	case <-time.After(time.Until(end)):
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("stream: " + err.Error()) // our own types always encode
	}
	return b
}

// printable makes text from a peer safe for logs and terminals.
func printable(b []byte) string {
	const most = 200
	s := strings.ToValidUTF8(string(b[:min(len(b), most)]), "?")
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

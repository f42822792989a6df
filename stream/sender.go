package stream

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/frame"
	"framepipe/internal/rawio"
	"framepipe/internal/tcpq"
	"framepipe/wire"
)

// Times that a sender keeps.
const (
	dialTimeout    = 3 * time.Second
	helloTimeout   = 5 * time.Second
	writeTimeout   = 30 * time.Second // a connection that takes nothing for so long is given up
	reportInterval = time.Second
	byeTimeout     = 600 * time.Millisecond // a program that is told to stop has a second in all
	retryFirst     = 200 * time.Millisecond
	retryMost      = time.Second
	dialAgain      = 400 * time.Millisecond // a lost SYN is sent again after a second only, then after two
)

// SenderConfig is what a Sender needs. Address is required.
type SenderConfig struct {
	Address    string      // host:port of the receiver, or what Dial makes one of
	Name       string      // the camera's name
	Software   string      // program and version
	Host       string      // this machine's name
	Session    uint64      // random, not 0, for the life of this process
	TLS        *tls.Config // nil = in the clear; without ServerName, the certificate is to be for the address that was dialled
	Token      string      // of which both sides prove that they know it, over TLS; "" = none
	V0         bool        // speak the origin's format
	Policy     Policy
	Congestion string        // name of an algorithm, or system; "" = bbr where it is allowed, unless the policy is block
	Retry      time.Duration // give up after so long without a connection; 0 = never
	Frames     uint64        // end in order after so many frames; 0 = go on
	Target     time.Duration // latency that Budget aims at; 0 = none

	// KernelRTO leaves the retransmission timeout's floor to the kernel, for
	// comparisons.
	KernelRTO bool

	// State describes the camera as it is now. Required for v1.
	State func() wire.StateText
	// Control applies settings and returns what came of them. Nil: refused.
	Control func(context.Context, wire.Settings) wire.StateText

	Dial func(ctx context.Context, network, address string) (net.Conn, error) // nil = net.Dialer
	Log  *slog.Logger                                                         // nil = discard
}

// ErrReceiverClosed is how a v0 run ends when the receiver closes a connection
// that carried frames: the origin's script stops after its last record without a
// word, so that is an ordinary end.
var ErrReceiverClosed = errors.New("the receiver closed the connection")

// ErrNoConnection is how a run ends that gave up dialling.
var ErrNoConnection = errors.New("no connection")

// errEnded ends a connection in order.
var errEnded = errors.New("no more frames")

// Sender keeps a connection to a receiver and sends it the newest frame of its
// mailbox, again and again. The camera runs on while there is no connection.
type Sender struct {
	cfg SenderConfig
	box *Mailbox

	ended    chan struct{} // closed by End
	endOnce  sync.Once
	policy   atomic.Pointer[Policy]
	cong     atomic.Pointer[string]
	inForce  atomic.Pointer[string]
	conn     atomic.Pointer[senderConn] // the current one
	received atomic.Uint64              // frames that the receiver says it has of this session
	connects atomic.Uint64
	rescues  atomic.Uint64
	bytes    atomic.Uint64

	changed chan struct{} // one token: State is different now
	target  target
	retry   time.Duration // first pause before dialling again
}

// NewSender returns a sender that has not dialled yet.
func NewSender(cfg SenderConfig) *Sender {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if cfg.Policy.name == "" {
		cfg.Policy = mustPolicy(DefaultPolicy)
	}
	s := &Sender{cfg: cfg, box: NewMailbox(), ended: make(chan struct{}), changed: make(chan struct{}, 1), retry: retryFirst}
	s.target.latency = cfg.Target
	s.policy.Store(&cfg.Policy)
	s.cong.Store(&cfg.Congestion)
	return s
}

// Mailbox is where the capture loop puts its frames.
func (s *Sender) Mailbox() *Mailbox { return s.box }

// Policy is the policy in force.
func (s *Sender) Policy() Policy { return *s.policy.Load() }

// Congestion is the congestion control that the kernel reports for the current
// connection, "" if there is none or it does not tell.
func (s *Sender) Congestion() string {
	if p := s.inForce.Load(); p != nil {
		return *p
	}
	return ""
}

// SetPolicy changes the policy from the next frame on.
func (s *Sender) SetPolicy(p Policy) {
	s.policy.Store(&p)
	if c := s.conn.Load(); c != nil {
		s.tune(c)
	}
}

// SetCongestion changes the congestion control, of the current connection too.
func (s *Sender) SetCongestion(name string) {
	s.cong.Store(&name)
	if c := s.conn.Load(); c != nil {
		s.tune(c)
	}
}

// Budget is how many bytes the next frame may have to reach the target latency;
// 0 = any number. It is to be asked once for each frame, when it is captured.
func (s *Sender) Budget() int { return s.target.budget(s.conn.Load()) }

// Target is the latency aimed at, 0 = none.
func (s *Sender) Target() time.Duration { return s.target.latency }

// End says that no more frames will be put: Run sends what waits, says goodbye
// and returns nil.
func (s *Sender) End() { s.endOnce.Do(func() { close(s.ended) }) }

// SenderStats describes a sender's run.
type SenderStats struct {
	Counts    frame.Counts
	Received  uint64 // of Counts.Sent, those that the receiver confirmed; v0 receivers confirm nothing
	Bytes     uint64
	Connects  uint64
	Rescues   uint64 // of Connects, those that took over from a stalled connection
	Connected bool
	Rate      float64 // of the link in bytes/s, as the controller of the target latency believes; 0 = unknown
	Gate      int     // bytes that may be queued in the kernel when the next frame is taken; 0 = any number
	InFlight  int     // frames on the way, not acknowledged
}

// Stats returns a snapshot; its Counts balance.
func (s *Sender) Stats() SenderStats {
	st := SenderStats{Counts: s.box.Counts(), Received: s.received.Load(), Bytes: s.bytes.Load(),
		Connects: s.connects.Load(), Rescues: s.rescues.Load(), Rate: s.target.known()}
	if c := s.conn.Load(); c != nil {
		st.Connected, st.Gate, st.InFlight = true, c.gate.Limit(), c.flight.len()
	}
	return st
}

// Run sends until ctx ends or the source does (both: nil, after a goodbye), until
// the receiver refuses for good, or until no connection came about for the
// configured time. It returns after everything it started has ended.
func (s *Sender) Run(ctx context.Context) error {
	defer s.box.Close()
	wait, since, said := s.retry, time.Now(), ""
	var conn *senderConn // that took over from the one before
	for {
		var err error
		if conn == nil {
			conn, err = s.dial(ctx)
		}
		if err == nil {
			wait, said = s.retry, ""
			conn, err = s.serve(ctx, conn)
			since = time.Now()
			switch {
			case conn != nil:
				s.cfg.Log.Info("the connection stalled, a new one took over", "receiver", s.cfg.Address)
				continue
			case err == nil || ctx.Err() != nil:
				return nil
			case errors.Is(err, ErrReceiverClosed):
				return err
			}
			if refused, ok := errors.AsType[*refusedError](err); ok && refused.final() {
				return err
			}
			s.cfg.Log.Warn("connection lost, dialling again", "receiver", s.cfg.Address, "cause", err)
		} else {
			if ctx.Err() != nil || s.isEnded() {
				return nil
			}
			if refused, ok := errors.AsType[*refusedError](err); ok && refused.final() {
				return err
			}
			if d := time.Since(since); s.cfg.Retry > 0 && d > s.cfg.Retry {
				return fmt.Errorf("%w to %s within %v: %w", ErrNoConnection, s.cfg.Address, s.cfg.Retry, err)
			}
			if err.Error() != said {
				said = err.Error()
				s.cfg.Log.Warn("cannot reach the receiver, keep trying", "receiver", s.cfg.Address, "cause", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ended:
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMost)
	}
}

func (s *Sender) isEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *Sender) dial(ctx context.Context) (*senderConn, error) {
	nc, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	return s.introduce(ctx, nc)
}

// connect dials, beside attempts that have no answer yet, until one has: a link that
// comes back is noticed by the next SYN.
func (s *Sender) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	type answer struct {
		nc  net.Conn
		err error
	}
	answers := make(chan answer)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	attempt := func() {
		wg.Go(func() {
			nc, err := s.cfg.Dial(ctx, "tcp", s.cfg.Address)
			select {
			case answers <- answer{nc, err}:
			case <-ctx.Done():
				if err == nil {
					nc.Close()
				}
			}
		})
	}
	attempt()
	again := time.NewTicker(dialAgain)
	defer again.Stop()
	for {
		select {
		case a := <-answers:
			return a.nc, a.err
		case <-again.C:
			attempt()
		case <-ctx.Done():
			return nil, fmt.Errorf("dial tcp %s: no answer within %v", s.cfg.Address, dialTimeout)
		}
	}
}

// peer is who a connection is with: the address as it was given, or where Dial went
// instead.
func (s *Sender) peer(c net.Conn) string {
	given, err := netip.ParseAddrPort(s.cfg.Address)
	if to, ok := c.RemoteAddr().(*net.TCPAddr); ok && err == nil && to.AddrPort().Addr().Unmap() != given.Addr().Unmap() {
		return to.String()
	}
	return s.cfg.Address
}

// introduce says hello on a new connection; it closes it if that fails.
func (s *Sender) introduce(ctx context.Context, nc net.Conn) (*senderConn, error) {
	nc, err := s.secured(ctx, rawio.Wrap(nc))
	if err != nil {
		nc.Close()
		return nil, err
	}
	c := &senderConn{Conn: nc, header: make([]byte, 0, wire.FrameHeaderSize), flight: newFlight(), gate: tcpq.NewGate(nc), look: tcpq.NewProbe(nc), heard: tcpq.NewProbe(nc), now: atOnce{writer: rawio.NewWriter(nc)}}
	if s.cfg.V0 {
		return c, nil
	}
	if err := s.hello(ctx, c); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// refusedError is a receiver's bye in place of a welcome, or in the middle.
type refusedError struct {
	reason wire.Reason
	text   string
}

func (e *refusedError) Error() string { return "the receiver says: " + e.text }

// final reports whether dialling again is no use.
func (e *refusedError) final() bool { return e.reason == wire.ReasonRefused }

// hello introduces this sender and reads the answer.
func (s *Sender) hello(ctx context.Context, c *senderConn) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Now()) })
	defer stop()
	c.SetDeadline(time.Now().Add(helloTimeout))
	auth, err := s.auth(c.Conn)
	if err != nil {
		return err
	}
	text := mustJSON(wire.HelloText{Auth: auth, Name: s.cfg.Name, Software: s.cfg.Software, Host: s.cfg.Host, State: s.cfg.State(), Accepts: s.accepts()})
	h := wire.Hello{Version: wire.Version, Session: s.cfg.Session, Now: frame.SenderNow(), Counts: s.box.Counts()}
	b := append(wire.Preamble[:], h.Append(nil, len(text))...)
	if _, err := c.Write(append(b, text...)); err != nil {
		return err
	}
	c.reader = newReader(c, &frame.Pool{}, 24*time.Hour) // a receiver may be silent for as long as it likes
	c.reader.armed = time.Now()
	fail := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the receiver hung up on our hello")
		}
		return fmt.Errorf("%w (if it is the origin's server or another v0 program, use --wire v0)", err)
	}
	if err := c.reader.preamble(); err != nil {
		return fail(err)
	}
	for {
		m, err := c.reader.message(0)
		if err != nil {
			return fail(err)
		}
		payload, err := c.reader.text(m.Payload)
		if err != nil {
			return fail(err)
		}
		switch m.Type {
		case wire.TypePing: // the receiver relates the clocks before any frame is on the way
			var p wire.Ping
			if err := p.Parse(m.header); err != nil {
				return err
			}
			if err := c.pong(p); err != nil {
				return err
			}
		case wire.TypeWelcome:
			if err := c.welcome.Parse(m.header); err != nil {
				return err
			}
			var text wire.WelcomeText
			if err := json.Unmarshal(payload, &text); err != nil {
				return fmt.Errorf("WELCOME is not valid JSON: %w", err)
			}
			if err := s.checkAnswer(c.Conn, &text); err != nil {
				return err
			}
			s.received.Store(c.welcome.Received)
			return c.SetDeadline(time.Time{})
		case wire.TypeBye:
			return byeError(m.header, payload)
		}
	}
}

func (s *Sender) accepts() []string {
	if s.cfg.Control == nil {
		return nil
	}
	return []string{"mode", "port", "format", "width", "height", "fps", "quality", "policy", "congestion", "controls"}
}

func byeError(header, text []byte) error {
	var b wire.Bye
	if err := b.Parse(header); err != nil {
		return err
	}
	return &refusedError{reason: b.Reason, text: printable(text)}
}

package stream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/internal/rawio"
	"framepipe/measure"
	"framepipe/wire"
)

// Limits where the configuration names none.
const (
	DefaultMaxFrame   = 32 << 20
	DefaultMaxPixels  = 100_000_000
	DefaultMaxCameras = 16
	DefaultTimeout    = 30 * time.Second
	DefaultHandshake  = 5 * time.Second
	DefaultPerAddress = 16
)

// meterTick is how often meters are asked at most whether their record is over, while no
// frame tells them. A record's length does not depend on it.
const meterTick = 50 * time.Millisecond

// ReceiverConfig is how a Receiver works. The zero value accepts everybody.
type ReceiverConfig struct {
	Software   string
	MaxFrame   int           // bytes; longer frames end the connection before any memory is taken
	MaxPixels  int64         // frames with more are refused
	MaxCameras int           // known at once, connected or not
	Timeout    time.Duration // a peer must complete a message so often
	Handshake  time.Duration // and its handshakes within this
	MaxConns   int           // connections at once; a few more than cameras, for those about to be recognised or refused
	PerAddress int           // of them, from one address that is not loopback

	// TLS, if set, is what every peer must speak; v0 and connections in the clear
	// are refused then.
	TLS *tls.Config
	// Admit refuses a peer by returning an error for it.
	Admit func(*Peer) error

	// Raw tells what raw v0 frames are, which say nothing about themselves.
	Raw RawFormat

	RecordLength time.Duration
	Records      int
	// Recorded is told each record of each camera. It must not call the Feed.
	Recorded func(*measure.Record)
	FrameLog *measure.FrameLog
	// Earlier is asked once for each new camera: its records of earlier runs, oldest
	// first, which become the Feed's. It must neither wait nor call the Receiver.
	Earlier func(camera string) []*measure.Record
	// Opened is told each new camera, before its first frame.
	Opened func(*Feed)
	// Forgotten is told each camera that had to make room for another: what was
	// kept for it can go. It must not call the Receiver.
	Forgotten func(*Feed)

	Log *slog.Logger
}

// Receiver accepts cameras. See NewReceiver.
type Receiver struct {
	cfg ReceiverConfig

	limits    limits
	accepting atomic.Bool
	came      chan struct{} // one token: a camera is there

	mu     sync.Mutex
	feeds  []*Feed        // guarded by mu; in order of arrival
	conns  map[string]int // guarded by mu; connections by address
	nconns int            // guarded by mu
	wg     sync.WaitGroup
}

// NewReceiver returns a receiver that listens to nothing yet.
func NewReceiver(cfg ReceiverConfig) *Receiver {
	cfg.MaxFrame = min(cmp.Or(cfg.MaxFrame, DefaultMaxFrame), wire.MaxFrameLimit)
	cfg.MaxPixels = cmp.Or(cfg.MaxPixels, DefaultMaxPixels)
	cfg.MaxCameras = cmp.Or(cfg.MaxCameras, DefaultMaxCameras)
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	cfg.Handshake = cmp.Or(cfg.Handshake, DefaultHandshake)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 2*cfg.MaxCameras+16)
	cfg.PerAddress = cmp.Or(cfg.PerAddress, DefaultPerAddress)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Receiver{cfg: cfg, came: make(chan struct{}, 1)}
}

// Run accepts cameras from ln until ctx ends. It returns after all it started
// has ended, with records closed; ln is closed then.
func (r *Receiver) Run(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	r.wg.Go(func() { r.ticks(ctx) })
	r.accepting.Store(true)
	var err error
	for {
		conn, e := ln.Accept()
		conn = rawio.Wrap(conn)
		if e != nil {
			if ctx.Err() == nil && !errors.Is(e, net.ErrClosed) {
				if ne, ok := errors.AsType[net.Error](e); ok && ne.Timeout() || temporary(e) {
					r.cfg.Log.Warn("cannot accept a connection", "cause", e)
					time.Sleep(100 * time.Millisecond) // out of descriptors: give others time to end
					continue
				}
				err = e
			}
			break
		}
		addr := remoteAddr(conn)
		if err := r.enter(addr); err != nil { // here, so that a flood starts no goroutines
			r.cfg.Log.Warn("refused", "peer", conn.RemoteAddr().String(), "cause", err)
			conn.Close()
			continue
		}
		r.wg.Go(func() { r.connection(ctx, conn, addr) })
	}
	r.accepting.Store(false)
	ln.Close()
	r.wg.Wait()
	r.Finish()
	return err
}

// Accepting reports whether Run accepts cameras.
func (r *Receiver) Accepting() bool { return r.accepting.Load() }

// Conns is how many connections there are, of cameras and of peers that are not
// recognised yet.
func (r *Receiver) Conns() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nconns
}

// Finish closes the open records of all cameras as unfinished. Run does so when
// it ends.
func (r *Receiver) Finish() {
	now := frame.ReceiverNow()
	for _, f := range r.Feeds() {
		f.Meter.Finish(now)
	}
}

// ticks closes records of cameras that are silent, when their time is over. While no
// camera is there and no record is open, it waits for one to come: a receiver that nobody
// uses sleeps.
func (r *Receiver) ticks(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.came:
		case <-t.C:
		}
		now := frame.ReceiverNow()
		next := frame.ReceiverTime(math.MaxInt64)
		for _, f := range r.Feeds() {
			again, open := f.Meter.Tick(now)
			if open || f.here() {
				next = min(next, again)
			}
		}
		t.Stop()
		if next != math.MaxInt64 {
			t.Reset(max(next.Sub(now), meterTick))
		}
	}
}

// here reports whether the camera is connected, or of this machine.
func (f *Feed) here() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.local || f.conn != nil
}

// Feeds lists the cameras in order of their arrival.
func (r *Receiver) Feeds() []*Feed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.feeds)
}

// Feed finds a camera by name; "" is the first.
func (r *Receiver) Feed(name string) *Feed {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.feeds {
		if name == "" || f.name == name {
			return f
		}
	}
	return nil
}

// errTooMany says that a limit on the number of peers is reached.
var errTooMany = errors.New("too many cameras")

// attach finds or makes the feed for a connection. A camera that comes back in
// the same session gets its feed again, whatever became of its old connection,
// and so does one of the same name whose old connection is gone. Two cameras of
// one name are told apart by a number.
func (r *Receiver) attach(c *feedConn, name string, session uint64, before *frame.Counts) (*Feed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name = SafeName(name)
	for i := 1; ; i++ {
		unique := name
		if i > 1 {
			unique = fmt.Sprintf("%s-%d", name, i)
		}
		k := slices.IndexFunc(r.feeds, func(f *Feed) bool { return f.name == unique })
		if k < 0 {
			return r.open(c, unique, session, before)
		}
		f := r.feeds[k]
		f.mu.Lock()
		mine := !f.local && (f.conn == nil || session != 0 && f.session == session)
		if mine {
			f.take(c, session, before)
		}
		f.mu.Unlock()
		if mine {
			signal(r.came)
			return f, nil
		}
	}
}

// A camera that lost power, or whose program was killed behind a dead link, leaves a
// connection that looks alive until Timeout. When a camera of the same name comes
// from the same address, the old connection is asked whether anybody is there.
const askOld = time.Second

// relieve ends the connection that a camera left behind in an earlier life: one
// that does not answer within askOld. Another camera of the same name, which
// answers, is left alone.
func (r *Receiver) relieve(ctx context.Context, name string, session uint64, addr netip.Addr) {
	f := r.Feed(SafeName(name))
	if f == nil {
		return
	}
	f.mu.Lock()
	old := f.conn
	if f.session == session || f.local {
		old = nil
	}
	f.mu.Unlock()
	if old == nil || !old.v1.Load() || remoteAddr(old.raw) != addr {
		return
	}
	asked := int64(frame.ReceiverNow())
	r.wg.Go(func() { _ = old.ping() }) // it may wait for as long as a write may; closing ends it
	t := time.NewTicker(askOld / 50)
	defer t.Stop()
	for end := time.Now().Add(askOld); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-old.done:
			return
		case <-t.C:
		}
		if old.heard.Load() > asked {
			return
		}
	}
	old.replaced.Store(true)
	f.detach(old, "it is silent, and was started anew")
	old.Close()
}

// open makes a feed; the caller holds r.mu.
func (r *Receiver) open(c *feedConn, name string, session uint64, before *frame.Counts) (*Feed, error) {
	if len(r.feeds) >= r.cfg.MaxCameras && !r.evict() {
		r.limits[limitCameras].Add(1)
		return nil, fmt.Errorf("%w: %d are known, --max-cameras allows no more", errTooMany, len(r.feeds))
	}
	f := r.newFeed(name)
	f.take(c, session, before)
	signal(r.came)
	if r.cfg.Opened != nil {
		r.cfg.Opened(f)
	}
	return f, nil
}

// evict forgets the camera that has been gone longest; the caller holds r.mu.
func (r *Receiver) evict() bool {
	oldest := -1
	var since time.Time
	for i, f := range r.feeds {
		f.mu.Lock()
		if f.conn == nil && (!f.local || f.relay != nil && f.gone != "") && (oldest < 0 || f.since.Before(since)) {
			oldest, since = i, f.since
		}
		f.mu.Unlock()
	}
	if oldest < 0 {
		return false
	}
	f := r.feeds[oldest]
	f.Meter.Finish(frame.ReceiverNow())
	r.feeds = slices.Delete(r.feeds, oldest, oldest+1)
	if r.cfg.Forgotten != nil {
		r.cfg.Forgotten(f)
	}
	return true
}

// take makes c the feed's connection; the caller holds f.mu or the only reference.
// Before is what a new session had counted when it came; nil for v0.
func (f *Feed) take(c *feedConn, session uint64, before *frame.Counts) {
	if old := f.conn; old != nil {
		old.replaced.Store(true)
		old.Close()
	}
	if session == 0 || session != f.session {
		f.session, f.lastSeq, f.received = session, 0, 0
		f.clock = new(clocksync.Estimator)
		f.Meter.Session(before)
	}
	f.conn, f.gone, f.since = c, "", time.Now()
	if c != nil {
		f.remote, f.v0 = c.RemoteAddr().String(), session == 0
	}
}

// connection serves one peer, which entered, from its first byte to its last.
func (r *Receiver) connection(ctx context.Context, conn net.Conn, addr netip.Addr) {
	defer conn.Close()
	defer r.leave(addr)
	log := r.cfg.Log.With("peer", conn.RemoteAddr().String())
	c := &feedConn{Conn: conn, raw: conn, recv: r, cfg: &r.cfg, log: log, welcomed: make(chan struct{}), done: make(chan struct{})}
	defer close(c.done)
	defer c.stopLateAck()
	c.reader = newReader(conn, &c.pool, r.cfg.Timeout)
	stop := context.AfterFunc(ctx, c.shutdown)
	defer stop()
	err := r.serve(ctx, c, addr)
	switch {
	case err == nil, ctx.Err() != nil:
	case err == errSilent:
		log.Debug("peer left", "cause", err)
	case c.replaced.Load():
		log.Info("replaced by a newer connection of the same camera")
	case c.feed != nil:
		r.hit(limitIdle, err)
		log.Warn("connection lost", "camera", c.feed.name, "cause", cause(err))
		c.feed.detach(c, cause(err))
	case c.v0:
		r.hit(limitIdle, err)
		log.Warn("peer sent away", "cause", cause(err))
	default:
		r.hit(limitHandshake, err)
		log.Warn("peer sent away", "cause", cause(err))
	}
}

// errSilent is nobody's mistake: a sender whose link stalls dials several connections
// and says hello on one of them, and who looks whether a port is open says nothing.
var errSilent = errors.New("it ended without a word")

// serve tells v1, v0 and TLS by the first four bytes.
func (r *Receiver) serve(ctx context.Context, c *feedConn, addr netip.Addr) error {
	if r.cfg.TLS != nil { // a v0 camera connects first and warms up then, but none is let in here
		c.SetReadDeadline(time.Now().Add(r.cfg.Handshake))
	} else if err := c.reader.arm(); err != nil {
		return err
	}
	b, err := c.reader.peek(wire.V0HeaderSize)
	if err == io.EOF {
		return errSilent
	} else if err != nil {
		return fmt.Errorf("before its first message: %w", err)
	}
	if r.cfg.TLS != nil {
		if !isTLS(b) {
			return r.refuseClear(c, [4]byte(b) == wire.Preamble)
		}
		if err := r.secureConn(ctx, c); err != nil {
			return err
		}
		return r.serveV1(ctx, c, addr)
	}
	if [4]byte(b) == wire.Preamble {
		return r.serveV1(ctx, c, addr)
	}
	return r.serveV0(c, addr)
}

func remoteAddr(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// cause says why a connection ended, for people.
func cause(err error) string {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ended in the middle of a message"
	case errors.Is(err, io.EOF):
		return "it ended without a goodbye"
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return "nothing complete came for too long"
	}
	return err.Error()
}

// temporary reports whether accepting may work again: EMFILE and its like.
func temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

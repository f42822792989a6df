// Package bus lets receivers on several machines share their cameras over NATS,
// which brings frames from one to many, across clusters, and keeps a window of
// them where JetStream is on. A receiver publishes each of its cameras; others
// take them and show, record and measure them as if they were connected there.
//
// Subjects, R and C being receiver and camera: framepipe.R.C.frame.L with the
// frames (message.go), framepipe.R.C.state with what is known of the camera, once
// a second, framepipe.R.C.record with its records, both as JSON, and
// framepipe.R.clock, which answers with its clock.
//
// Nobody waits. A frame that a publisher cannot hand to its server is replaced by
// the next one. A subscriber that lags takes fewer frames: L is a layer, 0 has
// every second frame, 1 every second of the rest, and so on, so that leaving out
// the lowest halves the rate. If that does not help, it connects anew, which
// discards what waits for it. All that was lost is counted as lost by the bus.
//
// The client's library copies a frame once into its buffer, and gives the
// subscriber newly allocated memory, which becomes the frame's. Everything ends
// with Run, the library's goroutines included.
package bus

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"framepipe/frame"
	"framepipe/internal/rawio"
	"framepipe/internal/tcpq"
	"framepipe/measure"
	"framepipe/stream"
)

// Config is what a Bus needs.
type Config struct {
	URL      string        // nats://host:port, several with commas between
	Creds    string        // file with the user's credentials; "" = none, or in the URL
	CA       string        // file with certificates that may vouch for the servers'; "" = the system's
	Cert     string        // file of our own certificate, for servers that demand one; "" = none
	Key      string        // file of its key
	Name     string        // of this receiver, unique on the bus
	Take     []string      // R or R/C with * and ?, as path.Match: cameras of other receivers that are taken
	Keep     time.Duration // that JetStream keeps frames; 0 = it does not
	Replicas int           // how many servers keep them; 0 = one
	Receiver *stream.Receiver
	MaxFrame int
	Log      *slog.Logger
}

// Bus is a receiver's connection to others. See New.
type Bus struct {
	cfg Config

	mu     sync.Mutex
	opened []*published // guarded by mu; cameras that Run has not seen yet
	news   chan struct{}
	nc     *nats.Conn // guarded by mu; nil before and after Run

	takers map[string]*taker // owned by Run
	clocks map[string]*clock // owned by Run
	states chan *nats.Msg
}

// New returns a bus that is not connected yet.
func New(cfg Config) *Bus {
	cfg.Name = token(cfg.Name)
	return &Bus{cfg: cfg, news: make(chan struct{}, 1), takers: make(map[string]*taker), clocks: make(map[string]*clock), states: make(chan *nats.Msg, 1024)}
}

// token makes a name one token of a subject.
func token(name string) string { return strings.ReplaceAll(stream.SafeName(name), ".", "_") }

// Check tells a pattern that is none, before anything runs.
func Check(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || strings.Count(p, "/") > 1 || p == "" {
			return fmt.Errorf("%q is no pattern of receivers or receiver/camera", p)
		}
	}
	return nil
}

// takes reports whether a camera of another receiver is to be taken.
func (b *Bus) takes(receiver, camera string) bool {
	for _, p := range b.cfg.Take {
		if !strings.Contains(p, "/") {
			p += "/*"
		}
		if ok, _ := path.Match(p, receiver+"/"+camera); ok {
			return true
		}
	}
	return false
}

// Opened has a camera of this receiver published, from its next frame. It may be
// called before Run.
func (b *Bus) Opened(f *stream.Feed) {
	if f.Relayed() {
		return
	}
	p := &published{feed: f, sub: f.Hub.Subscribe()}
	b.mu.Lock()
	b.opened = append(b.opened, p)
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// Recorded publishes a record. It never waits for the bus to come.
func (b *Bus) Recorded(r *measure.Record) {
	nc := b.conn()
	f := b.cfg.Receiver.Feed(r.Camera)
	if nc == nil || f == nil || f.Relayed() {
		return
	}
	if text, err := json.Marshal(r); err == nil {
		_ = nc.Publish(b.subject(token(r.Camera), "record"), text) // while there is no bus, records are elsewhere
	}
}

func (b *Bus) subject(parts ...string) string {
	return "framepipe." + b.cfg.Name + "." + strings.Join(parts, ".")
}

func (b *Bus) conn() *nats.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nc
}

// notsent bounds what the kernel holds of frames that are not sent yet.
const notsent = 256 << 10

type dialer struct{ net.Dialer }

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.Dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	_ = tcpq.SetNotsentLowat(c, notsent) // a system that cannot holds more
	return rawio.Wrap(c), nil
}

// Connect reaches the bus, or says why not. It goes on trying in Run when the bus
// goes away later.
func (b *Bus) Connect() error {
	opts := []nats.Option{nats.Name("framepipe " + b.cfg.Name), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1), nats.Timeout(3 * time.Second), nats.SetCustomDialer(&dialer{net.Dialer{Timeout: 3 * time.Second}}),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(5 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.cfg.Log.Warn("the bus is gone, connecting again", "cause", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.cfg.Log.Info("connected to the bus again", "server", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) { b.cfg.Log.Debug("bus", "cause", err) })}
	if b.cfg.Creds != "" {
		opts = append(opts, nats.UserCredentials(b.cfg.Creds))
	}
	if b.cfg.CA != "" {
		opts = append(opts, nats.RootCAs(b.cfg.CA))
	}
	if b.cfg.Cert != "" {
		opts = append(opts, nats.ClientCert(b.cfg.Cert, b.cfg.Key))
	}
	nc, err := nats.Connect(b.cfg.URL, opts...)
	if err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	b.mu.Lock()
	b.nc = nc
	b.mu.Unlock()
	b.cfg.Log.Info("connected to the bus", "server", nc.ConnectedUrlRedacted(), "as", b.cfg.Name)
	return nil
}

// Close ends a connection whose Run is not called.
func (b *Bus) Close() {
	b.mu.Lock()
	nc := b.nc
	b.nc = nil
	b.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
}

// beat is how often a camera's state is told.
const beat = time.Second

// Run publishes and takes until ctx ends, after Connect. It returns when all that
// it started has ended.
func (b *Bus) Run(ctx context.Context) error {
	nc := b.conn()
	defer b.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := nc.Subscribe(b.subject("clock"), answerClock); err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	if len(b.cfg.Take) > 0 {
		if _, err := nc.ChanSubscribe("framepipe.*.*.state", b.states); err != nil {
			return fmt.Errorf("bus: %w", err)
		}
	}
	if b.cfg.Keep > 0 {
		wg.Go(func() { b.keep(ctx, nc) })
	}
	tick := time.NewTicker(beat / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.news:
			b.mu.Lock()
			opened := b.opened
			b.opened = nil
			b.mu.Unlock()
			for _, p := range opened {
				wg.Go(func() { b.publish(ctx, nc, p) })
			}
		case m := <-b.states:
			if t := b.heard(nc, m); t != nil {
				wg.Go(func() { b.take(ctx, nc, t) })
			}
		case now := <-tick.C:
			b.quiet(now)
			for _, c := range b.clocks {
				if c.due(now) {
					wg.Go(func() { c.ask(nc) })
				}
			}
		}
	}
}

// answerClock tells this machine's time: the other side's is given back, with ours
// at arrival and at answering.
func answerClock(m *nats.Msg) {
	t2 := frame.MonotonicNow()
	if len(m.Data) != 8 {
		return
	}
	b := append(make([]byte, 0, 24), m.Data...)
	b = binary.LittleEndian.AppendUint64(b, uint64(t2))
	b = binary.LittleEndian.AppendUint64(b, uint64(frame.MonotonicNow()))
	_ = m.Respond(b) // who asked asks again
}

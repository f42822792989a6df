package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/wire"
)

func TestFramesArriveWithStampsAndBalance(t *testing.T) {
	for _, policy := range []string{"newest", "block"} {
		t.Run(policy, func(t *testing.T) {
			r := startReceiver(t, ReceiverConfig{})
			p, _ := ParsePolicy(policy)
			s := newTestSender(t, SenderConfig{Address: r.addr, Policy: p})
			stop := runSender(t, s)
			src := &source{box: s.Mailbox(), data: padded(68_000)}
			if err := src.box.WaitOnline(context.Background()); err != nil {
				t.Fatal(err)
			}
			const n = 300
			for range n {
				src.put()
				if p.Blocks() {
					if err := src.box.WaitIdle(context.Background(), false); err != nil {
						t.Fatal(err)
					}
				}
			}
			src.lose(frame.LostDriverError)
			src.box.Account(src.counts)
			s.End()
			eventually(t, "the sender's goodbye", func() bool { return !r.feed("cam").Status().Connected })
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			l := r.feed("cam").Meter.Ledger()
			if l.Offered != n+1 || l.Imbalance() != 0 || l.Lost[frame.LostConnection] != 0 || l.Lost[frame.LostDriverError] != 1 {
				t.Errorf("ledger %+v, imbalance %d; want %d offered, nothing lost by the connection", l, l.Imbalance(), n+1)
			}
			if policy == "block" && l.Delivered != n {
				t.Errorf("%d of %d delivered; block loses nothing", l.Delivered, n)
			}
			st := s.Stats()
			if st.Received != l.Delivered || st.Counts.Imbalance() != 0 {
				t.Errorf("the sender believes that %d arrived (imbalance %d), the receiver has %d", st.Received, st.Counts.Imbalance(), l.Delivered)
			}
			live := r.feed("cam").Meter.Live(frame.ReceiverNow())
			if live.Latency == nil || live.Latency.P50 <= 0 || live.Latency.P50 > 5000 {
				t.Errorf("latency %+v", live.Latency)
			}
		})
	}
}

// Connections that are cut at random places, a hundred times: nothing is
// delivered twice or out of order, and every frame is accounted for.
func TestConnectionsCutAtRandom(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	rnd := rand.New(rand.NewPCG(7, 7))
	var cuts atomic.Int32
	s := newTestSender(t, SenderConfig{Address: r.addr, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if cuts.Add(1) > 100 {
			return c, nil
		}
		return &cutConn{Conn: c, left: 2000 + rnd.IntN(400_000)}, nil
	}})
	s.retry = time.Millisecond
	runSender(t, s)
	src := &source{box: s.Mailbox(), data: padded(20_000)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			src.put()
			time.Sleep(200 * time.Microsecond)
		}
	})
	f := r.feed("cam")
	v := f.Hub.Subscribe()
	defer v.Close()
	var last uint64
	for end := time.Now().Add(60 * time.Second); cuts.Load() <= 100; {
		if time.Now().After(end) {
			t.Fatalf("only %d connections in a minute", cuts.Load())
		}
		fr, err := v.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if fr.Seq <= last {
			t.Fatalf("frame %d after frame %d", fr.Seq, last)
		}
		last = fr.Seq
		fr.Release()
		if l := f.Meter.Ledger(); l.Imbalance() != 0 {
			t.Fatalf("imbalance %d in %+v", l.Imbalance(), l)
		}
	}
	cancel()
	wg.Wait()
	s.End()
	eventually(t, "the goodbye", func() bool { return !f.Status().Connected })
	l := f.Meter.Ledger()
	if l.Imbalance() != 0 || l.Lost[frame.LostConnection] > l.Offered {
		t.Errorf("ledger %+v", l)
	}
	// The receiver's last word may still be on its way.
	eventually(t, fmt.Sprintf("the sender to know that %d frames arrived", l.Delivered), func() bool {
		return s.Stats().Received == l.Delivered+l.Lost[frame.LostReceiver]
	})
	if src.pool.Out() != 0 {
		t.Errorf("%d frames leaked", src.pool.Out())
	}
}

// cutConn breaks after so many bytes written, in the middle of a message.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) >= c.left {
		n, _ := c.Conn.Write(b[:c.left])
		c.left = 0
		c.Close()
		return n, errors.New("cut")
	}
	c.left -= len(b)
	return c.Conn.Write(b)
}

// The whole path, send loop to a viewer of the hub, allocates nothing once it
// runs.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; the same test runs without it")
	}
	r := startReceiver(t, ReceiverConfig{RecordLength: time.Hour})
	p, _ := ParsePolicy("block")
	s := newTestSender(t, SenderConfig{Address: r.addr, Policy: p})
	runSender(t, s)
	src := &source{box: s.Mailbox(), data: padded(68_000)}
	ctx := context.Background()
	if err := src.box.WaitOnline(ctx); err != nil {
		t.Fatal(err)
	}
	v := r.feed("cam").Hub.Subscribe()
	defer v.Close()
	step := func() {
		src.put()
		f, err := v.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
		if err := src.box.WaitIdle(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		step()
	}
	const n = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		step()
	}
	runtime.ReadMemStats(&after)
	// Reports, pings and timers of the second tick allocate a little; a frame must not.
	if per := float64(after.Mallocs-before.Mallocs) / n; per > 0.02 {
		t.Errorf("%.3f allocations a frame, want 0", per)
	}
}

func TestOneSlowViewerSlowsNobody(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	s := newTestSender(t, SenderConfig{Address: r.addr})
	runSender(t, s)
	src := &source{box: s.Mailbox(), data: padded(10_000)}
	if err := src.box.WaitOnline(context.Background()); err != nil {
		t.Fatal(err)
	}
	f := r.feed("cam")
	slow, fast := f.Hub.Subscribe(), f.Hub.Subscribe()
	defer slow.Close()
	defer fast.Close()
	held := 0
	for range 200 {
		src.put()
		fr, err := fast.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		fr.Release()
		held++
	}
	fr, err := slow.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer fr.Release()
	if fr.Seq != 200 || slow.Dropped() != 199 || fast.Dropped() != 0 {
		t.Errorf("slow viewer has frame %d (dropped %d), fast one dropped %d; want 200, 199, 0", fr.Seq, slow.Dropped(), fast.Dropped())
	}
}

func TestManyCamerasAndNames(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{MaxCameras: 3})
	var stops []func() error
	for range 3 {
		s := newTestSender(t, SenderConfig{Address: r.addr, Name: "../etc/<b>cam"})
		stops = append(stops, runSender(t, s))
		src := &source{box: s.Mailbox(), data: padded(9000)}
		if err := src.box.WaitOnline(context.Background()); err != nil {
			t.Fatal(err)
		}
		src.put()
	}
	for _, name := range []string{"etc--b-cam", "etc--b-cam-2", "etc--b-cam-3"} {
		f := r.feed(name)
		eventually(t, "a frame of "+name, func() bool { return f.Meter.Ledger().Delivered == 1 })
	}
	extra := newTestSender(t, SenderConfig{Address: r.addr, Name: "other", Retry: 50 * time.Millisecond})
	if err := extra.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "too many cameras") {
		t.Errorf("a camera beyond the limit: %v, want a refusal that says so", err)
	}
	if err := stops[0](); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first to be gone", func() bool { return !r.feed("etc--b-cam").Status().Connected })
	s := newTestSender(t, SenderConfig{Address: r.addr, Name: "other"})
	runSender(t, s)
	r.feed("other") // takes the place of the one that is gone
}

// A receiver that goes away and comes back at the same address.
func TestReceiverRestarts(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	s := newTestSender(t, SenderConfig{Address: r.addr})
	s.retry = time.Millisecond
	runSender(t, s)
	src := &source{box: s.Mailbox(), data: padded(9000)}
	if err := src.box.WaitOnline(context.Background()); err != nil {
		t.Fatal(err)
	}
	src.put()
	eventually(t, "a frame", func() bool { return r.feed("cam").Meter.Ledger().Delivered == 1 })
	r.end()
	eventually(t, "the sender to notice", func() bool { return !s.Stats().Connected })
	for range 10 {
		src.put()
	}
	ln, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	again := NewReceiver(ReceiverConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { again.Run(ctx, ln) })
	defer wg.Wait()
	defer cancel()
	eventually(t, "the newest frame, and only it", func() bool {
		f := again.Feed("cam")
		return f != nil && f.Meter.Live(frame.ReceiverNow()).Seq == 11
	})
	if c := s.Stats().Counts; c.Lost[frame.LostOffline] != 9 || c.Imbalance() != 0 {
		t.Errorf("lost offline %d, imbalance %d; want 9, 0", c.Lost[frame.LostOffline], c.Imbalance())
	}
}

func TestControlIsAnsweredWithTheTruth(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	var quality atomic.Int64
	state := func() wire.StateText { return wire.StateText{Quality: int(quality.Load())} } // also told unasked, now and then
	s := newTestSender(t, SenderConfig{Address: r.addr, State: state, Control: func(_ context.Context, set wire.Settings) wire.StateText {
		if *set.Quality > 90 {
			quality.Store(85)
			return wire.StateText{Quality: 85, Error: "too high"}
		}
		quality.Store(int64(*set.Quality - 1))
		return state()
	}})
	runSender(t, s)
	f := r.feed("cam")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, tc := range []struct {
		ask, want int
		err       string
	}{{60, 59, ""}, {95, 85, "too high"}} {
		st, err := f.Control(ctx, wire.Settings{Quality: &tc.ask})
		if err != nil || st.Quality != tc.want || st.Error != tc.err {
			t.Errorf("asked for %d: %+v, %v; want %d, %q", tc.ask, st, err, tc.want, tc.err)
		}
		// A camera that refuses a change gives pictures as before: nothing is wrong with it.
		if st := f.Status().Camera; st.Quality != tc.want || st.Error != "" || st.Hint != "" {
			t.Errorf("asked for %d, its state is %+v", tc.ask, st)
		}
	}
	r.end()
	q := 5
	if _, err := f.Control(ctx, wire.Settings{Quality: &q}); !errors.Is(err, ErrNotConnected) {
		t.Errorf("asking a camera that is gone: %v", err)
	}
}

func TestUnreachableReceiverIsTriedUntilTheTimeIsUp(t *testing.T) {
	s := newTestSender(t, SenderConfig{Address: "127.0.0.1:1", Retry: 300 * time.Millisecond})
	if err := s.Run(context.Background()); !errors.Is(err, ErrNoConnection) {
		t.Errorf("%v, want ErrNoConnection", err)
	}
}

func TestV0SenderTreatsResetAsOrdinaryEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan int, 1)
	go func() { // as the origin's server: read some, then leave without a word
		c, err := ln.Accept()
		if err != nil {
			return
		}
		n, _ := io.CopyN(io.Discard, c, 300_000)
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
		got <- int(n)
	}()
	s := newTestSender(t, SenderConfig{Address: ln.Addr().String(), V0: true})
	src := &source{box: s.Mailbox(), data: padded(50_000)}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go every(ctx, time.Millisecond, src.put)
	if err := s.Run(ctx); !errors.Is(err, ErrReceiverClosed) {
		t.Errorf("%v, want ErrReceiverClosed", err)
	}
	<-got
	cancel()
}

func every(ctx context.Context, d time.Duration, f func()) {
	for ctx.Err() == nil {
		f()
		time.Sleep(d)
	}
}

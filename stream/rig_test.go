package stream

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/measure"
	"framepipe/wire"
)

var testJPEG = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
})

// padded is a JPEG of n bytes: what follows EOI is ignored by all readers.
func padded(n int) []byte {
	b := append([]byte{}, testJPEG()...)
	return append(b, make([]byte, n-len(b))...)
}

// rig is a receiver on loopback and what it was told.
type rig struct {
	t      *testing.T
	recv   *Receiver
	addr   string
	stop   context.CancelFunc
	ended  chan struct{}
	mu     sync.Mutex
	closed []*measure.Record
}

func startReceiver(t *testing.T, cfg ReceiverConfig) *rig {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, addr: ln.Addr().String(), ended: make(chan struct{})}
	if cfg.Log == nil {
		cfg.Log = testLog(t)
	}
	cfg.Recorded = func(rec *measure.Record) {
		r.mu.Lock()
		r.closed = append(r.closed, rec)
		r.mu.Unlock()
	}
	r.recv = NewReceiver(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		defer close(r.ended)
		if err := r.recv.Run(ctx, ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(r.end)
	return r
}

func (r *rig) end() {
	r.stop()
	select {
	case <-r.ended:
	case <-time.After(20 * time.Second):
		r.t.Fatal("the receiver does not end")
	}
}

// testLog keeps what the program says, for tests that fail.
func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// feed waits for a camera.
func (r *rig) feed(name string) *Feed {
	r.t.Helper()
	var f *Feed
	eventually(r.t, "camera "+name, func() bool { f = r.recv.Feed(name); return f != nil })
	return f
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for: %s", what)
}

// source puts numbered frames into a mailbox as a capture loop does.
type source struct {
	box    *Mailbox
	pool   frame.Pool
	counts frame.Counts
	data   []byte
}

func (s *source) put() {
	f := s.pool.Get(len(s.data))
	copy(f.Data, s.data)
	s.counts.Offered++
	f.Seq = s.counts.Offered
	f.Format, f.Width, f.Height = frame.JPEG, 320, 240
	f.Counts = s.counts
	f.Captured = frame.SenderNow()
	f.Dequeued, f.Encoded = f.Captured, f.Captured
	s.box.Put(f)
}

func (s *source) lose(c frame.Cause) {
	s.counts.Offered++
	s.counts.Lost[c]++
}

func newTestSender(t *testing.T, cfg SenderConfig) *Sender {
	t.Helper()
	if cfg.Session == 0 {
		cfg.Session = rand.Uint64() | 1
	}
	if cfg.State == nil {
		cfg.State = func() wire.StateText { return wire.StateText{Format: "jpeg", Width: 320, Height: 240} }
	}
	if cfg.Name == "" {
		cfg.Name = "cam"
	}
	cfg.Log = testLog(t)
	return NewSender(cfg)
}

// runSender runs s until the test or the returned function ends it.
func runSender(t *testing.T, s *Sender) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case err = <-done:
			case <-time.After(20 * time.Second):
				t.Fatal("the sender does not end")
			}
		})
		return err
	}
	t.Cleanup(func() { stop() })
	return stop
}

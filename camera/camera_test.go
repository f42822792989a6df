package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
	"framepipe/wire"
)

// fake is a camera that does what its script says.
type fake struct {
	cfg    capture.Config
	counts frame.Counts
	data   []byte
	// step is called for each Next with its number from 1; it may count losses
	// and return an error.
	step     func(n int, c *frame.Counts) error
	n        int
	closed   bool
	controls map[string]int64
}

func (f *fake) Next(ctx context.Context) (*frame.Frame, error) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.n++
	if err := f.step(f.n, &f.counts); err != nil {
		return nil, err
	}
	f.counts.Offered++
	fr := frame.New(f.data, nil)
	fr.Seq, fr.Counts = f.counts.Offered, f.counts
	fr.Format, fr.Width, fr.Height, fr.Stride = frame.I420, 32, 16, 32
	if f.data == nil {
		fr.Format = frame.JPEG // an empty JPEG: cannot be converted
	}
	fr.Captured = frame.SenderNow()
	fr.Dequeued = fr.Captured
	return fr, nil
}

func (f *fake) Info() capture.Info {
	return capture.Info{Name: "fake", Width: f.cfg.Width, Height: f.cfg.Height, Format: "yuv", Mode: f.cfg.Mode.String()}
}
func (f *fake) Controls() ([]capture.Control, error) { return nil, nil }
func (f *fake) SetControl(name string, v int64) (int64, error) {
	if name != "brightness" {
		return 0, fmt.Errorf("no control %q", name)
	}
	f.controls[name] = v
	return v, nil
}
func (f *fake) Close() error { f.closed = true; return nil }

// sink keeps what it is given.
type sink struct {
	mu     sync.Mutex
	seqs   []uint64
	counts frame.Counts
	final  frame.Counts
	waits  int
	limit  int
	full   chan struct{}
}

func (s *sink) Put(f *frame.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seqs = append(s.seqs, f.Seq)
	s.counts = f.Counts
	f.Release()
	if len(s.seqs) == s.limit {
		close(s.full)
	}
}
func (s *sink) WaitIdle(ctx context.Context, _ bool) error { s.waits++; return ctx.Err() }
func (s *sink) Account(c frame.Counts)                     { s.final = c }

func picture() []byte { return make([]byte, pixfmt.Size(frame.I420, 32, 16, 0)) }

func never(int, *frame.Counts) error { return nil }

// start runs a runner over scripted cameras until the sink has n frames.
func start(t *testing.T, cfg Config, n int, cams ...*fake) (*sink, *Runner, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	opened := 0
	cfg.Open = func(_ context.Context, _ string, want capture.Config) (capture.Camera, error) {
		if opened == len(cams) {
			return nil, fmt.Errorf("no more cameras: %w", capture.ErrGone)
		}
		opened++
		cams[opened-1].cfg = want
		return cams[opened-1], nil
	}
	if cfg.Capture.Format == 0 {
		cfg.Capture.Format = frame.I420
	}
	r := New(cfg)
	s := &sink{limit: n, full: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, s) }()
	select {
	case <-s.full:
		cancel()
		return s, r, <-done
	case err := <-done:
		return s, r, err
	}
}

func TestCountsGoOnAcrossReopenedCameras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := func(after int) func(int, *frame.Counts) error {
			return func(n int, c *frame.Counts) error {
				if n == 3 { // a gap of two
					c.Offered += 2
					c.Lost[frame.LostGap] += 2
				}
				if n > after {
					return fmt.Errorf("unplugged: %w", capture.ErrGone)
				}
				return nil
			}
		}
		a, b := &fake{data: picture(), step: gone(5)}, &fake{data: picture(), step: gone(100)}
		s, _, err := start(t, Config{}, 12, a, b)
		if err != nil {
			t.Fatal(err)
		}
		if !a.closed || !b.closed {
			t.Error("a camera was left open")
		}
		want := []uint64{1, 2, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16}
		if fmt.Sprint(s.seqs) != fmt.Sprint(want) {
			t.Errorf("sequence numbers %v, want %v", s.seqs, want)
		}
		c := s.counts
		c.Sent = uint64(len(s.seqs))
		if c.Imbalance() != 0 || c.Lost[frame.LostGap] != 4 {
			t.Errorf("counts %+v, imbalance %d; want 4 in gaps, 0", c, c.Imbalance())
		}
	})
}

func TestWhatCannotBeConvertedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam := &fake{step: func(n int, _ *frame.Counts) error {
			if n > 4 {
				return io.EOF
			}
			return nil
		}}
		s, _, err := start(t, Config{}, 1, cam)
		if err != nil || len(s.seqs) != 0 {
			t.Fatalf("%d frames, %v", len(s.seqs), err)
		}
		if s.final.Offered != 4 || s.final.Lost[frame.LostCorrupt] != 4 {
			t.Errorf("final account %+v; want 4 offered, 4 corrupt", s.final)
		}
	})
}

func TestWarmupIsInNoAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, err := start(t, Config{Warmup: 105 * time.Millisecond}, 3, &fake{data: picture(), step: never})
		if err != nil {
			t.Fatal(err)
		}
		if s.seqs[0] != 1 || s.counts.Offered != 3 {
			t.Errorf("after the warm-up: first number %d, %d offered; want 1, 3", s.seqs[0], s.counts.Offered)
		}
	})
}

func TestWhoWaitsForTheSink(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mode   capture.Mode
		blocks bool
		waits  bool
	}{
		{"sequence runs through", capture.Sequence, false, false},
		{"continuous captures when the last frame is out", capture.Continuous, false, true},
		{"block waits in any mode", capture.Sequence, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, err := start(t, Config{Capture: capture.Config{Mode: tc.mode}, Blocks: func() bool { return tc.blocks }}, 5, &fake{data: picture(), step: never})
				if err != nil {
					t.Fatal(err)
				}
				if (s.waits > 0) != tc.waits {
					t.Errorf("waited %d times, want any: %v", s.waits, tc.waits)
				}
			})
		})
	}
}

func TestSettings(t *testing.T) {
	str := func(s string) *string { return &s }
	num := func(n int) *int { return &n }
	for _, tc := range []struct {
		name   string
		set    wire.Settings
		reopen bool
		err    bool
		check  func(*testing.T, State, *fake)
	}{
		{"quality needs no new camera", wire.Settings{Quality: num(50)}, false, false, func(t *testing.T, s State, _ *fake) {
			if s.Quality != 50 {
				t.Errorf("quality %d, want 50", s.Quality)
			}
		}},
		{"control", wire.Settings{Controls: map[string]int64{"brightness": 7}}, false, false, func(t *testing.T, _ State, f *fake) {
			if f.controls["brightness"] != 7 {
				t.Errorf("controls %v", f.controls)
			}
		}},
		{"unknown control", wire.Settings{Controls: map[string]int64{"taste": 7}}, false, true, nil},
		{"size", wire.Settings{Width: num(640), Height: num(480)}, true, false, func(t *testing.T, s State, _ *fake) {
			if s.Width != 640 || s.Height != 480 {
				t.Errorf("%dx%d, want 640x480", s.Width, s.Height)
			}
		}},
		{"mode", wire.Settings{Mode: str("continuous")}, true, false, func(t *testing.T, s State, _ *fake) {
			if s.Info.Mode != "continuous" {
				t.Errorf("mode %s", s.Info.Mode)
			}
		}},
		{"bad mode", wire.Settings{Mode: str("fast")}, false, true, nil},
		{"quality out of range", wire.Settings{Quality: num(101)}, false, true, nil},
		{"negative width", wire.Settings{Width: num(-1)}, false, true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var cams []*fake
				r := New(Config{Capture: capture.Config{Format: frame.JPEG}, Open: func(_ context.Context, _ string, want capture.Config) (capture.Camera, error) {
					f := &fake{data: picture(), step: never, cfg: want, controls: make(map[string]int64)}
					cams = append(cams, f)
					return f, nil
				}})
				s := &sink{limit: -1}
				done := make(chan error, 1)
				go func() { done <- r.Run(ctx, s) }()
				<-r.Opened()
				err := r.Apply(ctx, tc.set)
				if (err != nil) != tc.err {
					t.Errorf("error %v, want one: %v", err, tc.err)
				}
				time.Sleep(100 * time.Millisecond)
				if got := len(cams) == 2; got != tc.reopen {
					t.Errorf("opened %d times, want anew: %v", len(cams), tc.reopen)
				}
				if tc.check != nil {
					tc.check(t, r.State(), cams[len(cams)-1])
				}
				s.mu.Lock()
				n := len(s.seqs)
				s.mu.Unlock()
				if n == 0 {
					t.Error("no frames after the change")
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRefusedSettingsGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r := New(Config{Capture: capture.Config{Format: frame.I420, Width: 32, Height: 16}, Open: func(_ context.Context, _ string, want capture.Config) (capture.Camera, error) {
			if want.Width > 100 {
				return nil, &capture.Error{Op: "set format", Err: errors.New("too wide"), Config: true}
			}
			return &fake{data: picture(), step: never, cfg: want}, nil
		}})
		s := &sink{limit: -1}
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx, s) }()
		<-r.Opened()
		w := 200
		if err := r.Apply(ctx, wire.Settings{Width: &w}); err == nil {
			t.Error("a size that the camera refuses was accepted")
		}
		if st := r.State(); st.Width != 32 || !st.Open {
			t.Errorf("after the refusal: %+v", st)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFirstOpeningMustSucceed(t *testing.T) {
	_, _, err := start(t, Config{}, 1)
	if !errors.Is(err, capture.ErrGone) {
		t.Errorf("%v, want the camera's error", err)
	}
}

func TestEncodesWhenAskedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got frame.FourCC
		r := New(Config{Capture: capture.Config{Format: frame.JPEG}, Open: func(context.Context, string, capture.Config) (capture.Camera, error) {
			return &fake{data: picture(), step: func(n int, _ *frame.Counts) error {
				if n > 1 {
					return io.EOF
				}
				return nil
			}}, nil
		}})
		if err := r.Run(context.Background(), sinkFunc(func(f *frame.Frame) {
			got = f.Format
			if _, err := mjpeg.Header(f.Data); err != nil {
				t.Error(err)
			}
		})); err != nil || got != frame.JPEG {
			t.Errorf("format %v, %v", got, err)
		}
	})
}

type sinkFunc func(*frame.Frame)

func (f sinkFunc) Put(fr *frame.Frame)                { f(fr); fr.Release() }
func (sinkFunc) WaitIdle(context.Context, bool) error { return nil }
func (sinkFunc) Account(frame.Counts)                 {}

package camera

import (
	"context"
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/capture"
	"framepipe/capture/pattern"
	"framepipe/frame"
	"framepipe/mjpeg"
)

// encoded is what a camera's picture takes at a quality and scale, roughly as
// real pictures do, but by another law than the adapter assumes.
func encoded(full float64, q, scale int) int {
	return int(full * math.Pow(tables(q)/30, -0.8) * math.Pow(float64(scales[scale])/8, 1.8))
}

func TestAdapterReachesAndKeepsTheBudget(t *testing.T) {
	for _, tc := range []struct {
		name       string
		full       float64 // bytes at q85
		budget     int
		scale, top int
	}{
		{"room for all", 60_000, 100_000, 0, 85},
		{"no limit", 60_000, 0, 0, 85},
		{"half", 60_000, 30_000, 0, 80},
		{"a tenth needs a smaller picture", 60_000, 6_000, 2, 85},
		{"next to nothing", 200_000, 5_000, 4, 85},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAdapter(85)
			changes, over := 0, 0
			for i := range 400 {
				q, rescaled := a.next(tc.budget)
				if rescaled && i > 200 {
					changes++
				}
				n := encoded(tc.full, q, a.scale)
				a.sent(n)
				if i > 200 && tc.budget > 0 && float64(n) > 1.15*float64(tc.budget) {
					over++
				}
			}
			if over > 0 || changes > 2 || a.scale < tc.scale && tc.scale > 0 || a.scale == 0 != (tc.scale == 0) {
				t.Errorf("quality %d at %d/8: %d frames of 200 too large, %d changes of size", a.q, scales[a.scale], over, changes)
			}
			if tc.scale == 0 && tc.budget != 0 && a.q < 50 {
				t.Errorf("quality %d where the budget allows more", a.q)
			}
			for range 400 { // the link is wide again
				q, _ := a.next(0)
				a.sent(encoded(tc.full, q, a.scale))
			}
			if a.q != 85 || a.scale != 0 {
				t.Errorf("after the budget is gone: quality %d at %d/8", a.q, scales[a.scale])
			}
		})
	}
}

// The synthetic camera with noise, really encoded: frames come out as large as
// the budget says, and every size change is visible in the frames themselves.
func TestBudgetOnRealFrames(t *testing.T) {
	for _, tc := range []struct {
		name   string
		budget int
		width  int
	}{{"generous", 200_000, 640}, {"20 kB", 20_000, 640}, {"4 kB", 4_000, 320}} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			n, sum, width := 0, 0, 0
			r := New(Config{Source: "pattern?noise=30", Capture: capture.Config{Width: 640, Height: 480, FPS: 1000}, Open: pattern.Open, Budget: func() int { return tc.budget }})
			err := r.Run(ctx, sinkFunc(func(f *frame.Frame) {
				if n++; n > 60 {
					sum += len(f.Data)
					h, err := mjpeg.Header(f.Data)
					if err != nil {
						t.Error(err)
					}
					width = h.Width
				}
				if n == 90 {
					cancel()
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			if mean := sum / 30; float64(mean) > 1.1*float64(tc.budget) || width > tc.width {
				t.Errorf("mean of %d bytes at %d pixels wide, budget %d, at most %d wide", mean, width, tc.budget, tc.width)
			}
			if st := r.State(); st.Width != width {
				t.Errorf("the state says %d pixels, the frames %d", st.Width, width)
			}
		})
	}
}

// Frames that come compressed: their rate falls to what fits, and the account
// says why.
func TestPassThroughLosesRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := append([]byte{}, tinyJPEG(t)...)
		data = append(data, make([]byte, 30_000)...)
		cam := &fake{data: data, step: func(n int, _ *frame.Counts) error {
			if n > 90 {
				return io.EOF
			}
			return nil
		}}
		jpegs := 0
		r := New(Config{Capture: capture.Config{Format: frame.JPEG}, Budget: func() int { return len(data)/3 + 1 },
			Open: func(context.Context, string, capture.Config) (capture.Camera, error) { return &jpegCamera{cam}, nil }})
		s := &accountSink{}
		s.put = func(f *frame.Frame) { jpegs++ }
		if err := r.Run(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if jpegs != 30 || s.final.Lost[frame.LostDeadline] != 60 || s.final.Offered != 90 {
			t.Errorf("%d frames of 90 passed, account %+v; want 30, and 60 lost to the deadline", jpegs, s.final)
		}
	})
}

func tinyJPEG(t *testing.T) []byte {
	t.Helper()
	f := frame.New(picture(), nil)
	f.Format, f.Width, f.Height, f.Stride = frame.I420, 32, 16, 32
	b, err := mjpeg.NewEncoder().Encode(nil, f, 85)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// jpegCamera marks a fake's frames as compressed.
type jpegCamera struct{ *fake }

func (c *jpegCamera) Next(ctx context.Context) (*frame.Frame, error) {
	f, err := c.fake.Next(ctx)
	if err == nil {
		f.Format, f.Stride = frame.JPEG, 0
	}
	return f, err
}

func (c *jpegCamera) Info() capture.Info {
	i := c.fake.Info()
	i.Format = "jpeg"
	return i
}

type accountSink struct {
	put   func(*frame.Frame)
	final frame.Counts
}

func (s *accountSink) Put(f *frame.Frame)                   { s.put(f); f.Release() }
func (s *accountSink) WaitIdle(context.Context, bool) error { return nil }
func (s *accountSink) Account(c frame.Counts)               { s.final = c }

package interop

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/stream"
)

// collector is a receiver on loopback that keeps a copy of the frames that its
// viewers see.
type collector struct {
	*stream.Receiver
	addr net.Addr

	mu     sync.Mutex
	frames []frame.Meta // guarded by mu
	data   [][]byte     // guarded by mu
}

func startReceiver(t *testing.T, cfg stream.ReceiverConfig) *collector {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{addr: ln.Addr()}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	cfg.Opened = func(f *stream.Feed) {
		v := f.Hub.Subscribe()
		wg.Go(func() {
			defer v.Close()
			for {
				fr, err := v.Next(ctx)
				if err != nil {
					return
				}
				c.mu.Lock()
				c.frames = append(c.frames, fr.Meta)
				c.data = append(c.data, bytes.Clone(fr.Data))
				c.mu.Unlock()
				fr.Release()
			}
		})
	}
	c.Receiver = stream.NewReceiver(cfg)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
		wg.Wait()
	})
	return c
}

// gone waits until the only camera has ended after so many frames (over all its
// connections) and returns how it stands then.
func (c *collector) gone(t *testing.T, frames int64) stream.Status {
	t.Helper()
	var s stream.Status
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if f := c.Feed(""); f != nil {
			if s = f.Status(); !s.Connected && s.Live.Frames >= frames {
				return s
			}
		}
	}
	t.Fatalf("%d frames did not come, or the camera is still connected: %+v", frames, s)
	return s
}

// number works out which frame of the stand-in camera a picture is, and fails if
// any of its visible pixels is not that frame's. See test/peers/picamera.py.
func number(t *testing.T, m frame.Meta, data []byte) int {
	t.Helper()
	switch m.Format {
	case frame.JPEG:
		img, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for i := range 16 {
			if r, _, _, _ := img.At(8*i+4, 4).RGBA(); r > 0x8000 {
				n |= 1 << (15 - i)
			}
		}
		return n
	case frame.I420:
		n := int(data[0]) / 5
		u, v := m.Stride*m.Height, m.Stride*m.Height+m.Stride/2*((m.Height+1)/2)
		for y := range m.Height {
			for x := range m.Width {
				if got, want := data[y*m.Stride+x], byte(x+3*y+5*n); got != want {
					t.Fatalf("frame %d: Y(%d, %d) = %d, want %d", n, x, y, got, want)
				}
			}
		}
		for i := range m.Stride / 2 * (m.Height / 2) {
			if data[u+i] != byte(128+n) || data[v+i] != byte(64+n) {
				t.Fatalf("frame %d: U, V at %d = %d, %d", n, i, data[u+i], data[v+i])
			}
		}
		return n
	case frame.RGB24:
		n := int(data[0]) / 5
		for y := range m.Height {
			for x := range m.Width {
				luma := byte(x + 3*y + 5*n)
				p := data[y*m.Stride+3*x:]
				if p[0] != luma || p[1] != luma+85 || p[2] != luma+170 {
					t.Fatalf("frame %d: RGB(%d, %d) = %v, want R %d", n, x, y, p[:3], luma)
				}
			}
		}
		return n
	}
	t.Fatalf("a frame of format %v", m.Format)
	return 0
}

// Every command line of the article, at the origin's size and at one that
// picamera pads, and what comes of it.
func TestReceiveOrigin(t *testing.T) {
	const frames = 12
	for _, size := range []struct{ w, h int }{{320, 240}, {330, 250}} {
		for _, c := range []struct {
			format, mode, port string
			frames             int
		}{
			{"jpeg", "-seq", "1", frames}, {"jpeg", "-cont", "1", frames}, {"jpeg", "-seq", "0", 2},
			{"yuv", "-seq", "1", frames}, {"yuv", "-cont", "1", frames},
			{"rgb", "-seq", "1", frames},
		} {
			t.Run(fmt.Sprintf("%dx%d %s %s %s", size.w, size.h, c.format, c.mode, c.port), func(t *testing.T) {
				t.Parallel()
				r := startReceiver(t, stream.ReceiverConfig{Raw: stream.RawFormat{Width: size.w, Height: size.h}})
				status, out := client(t, r.addr, []string{"PICAMERA_JPEG_SIZE=67621"}, "v0_client.py", "--warmup", "0",
					"-W", itoa(size.w), "-H", itoa(size.h), "-format", c.format, "-vidport", c.port, c.mode, "--frames", itoa(c.frames))
				if status != 0 {
					t.Errorf("the client ended with %d: %s", status, out)
				}
				s := r.gone(t, int64(c.frames))
				if s.Wire != "v0" || s.Live.Frames != int64(c.frames) || s.Live.Imbalance != 0 || s.Unreadable != 0 {
					t.Errorf("%d frames of %d, %d unreadable, imbalance %d, wire %s", s.Live.Frames, c.frames, s.Unreadable, s.Live.Imbalance, s.Wire)
				}
				if s.Live.Width != size.w || s.Live.Height != size.h || s.Live.Latency != nil {
					t.Errorf("%dx%d, latency %v: the padding should be gone and the latency be unknown", s.Live.Width, s.Live.Height, s.Live.Latency)
				}
				// The viewer is a goroutine of its own, and may be behind the ledger.
				for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
					r.mu.Lock()
					n := len(r.frames)
					done := n > 0 && number(t, r.frames[n-1], r.data[n-1]) == c.frames-1
					r.mu.Unlock()
					if done {
						break
					}
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				if len(r.frames) == 0 {
					t.Fatal("the viewer saw nothing")
				}
				last := -1
				for i, m := range r.frames {
					n := number(t, m, r.data[i])
					if n <= last || n >= c.frames {
						t.Errorf("frame %d after frame %d", n, last)
					}
					last = n
				}
				if last != c.frames-1 {
					t.Errorf("the last frame seen is %d of 0..%d", last, c.frames-1)
				}
			})
		}
	}
}

func TestReceiveMisbehaving(t *testing.T) {
	for name, c := range map[string]struct {
		what   string
		after  int
		frames int64  // delivered in the end
		cause  string // part of why the camera is gone; "" = it ended well
		known  bool   // whether there is a camera at all
	}{
		"vanishes in a frame":        {"vanish", 3, 3, "middle", true},
		"vanishes in a length":       {"vanish-in-length", 3, 3, "middle", true},
		"resets":                     {"reset", 3, 3, "reset", true},
		"4 GiB":                      {"huge", 3, 3, "4294967295 bytes", true},
		"4 GiB at once":              {"huge", 0, 0, "", false},
		"just over the limit":        {"just-too-long", 1, 1, "33554433 bytes", true},
		"garbage":                    {"garbage", 2, 2, "--max-frame", true},
		"garbage at once":            {"garbage", 0, 0, "", false},
		"not a picture":              {"no-jpeg", 2, 3, "the sender ended", true},
		"a JPEG bomb":                {"bomb", 2, 2, "the sender ended", true},
		"one byte a second":          {"trickle", 2, 2, "too long", true},
		"silence":                    {"silent", 2, 2, "too long", true},
		"silence at once":            {"silent", 0, 0, "", false},
		"an end, and nothing before": {"end-at-once", 0, 0, "", false},
		"odd sizes":                  {"sizes", 1, 7, "the sender ended", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := stream.ReceiverConfig{}
			if c.what == "trickle" || c.what == "silent" {
				cfg.Timeout = time.Second
			}
			r := startReceiver(t, cfg)
			_, out := client(t, r.addr, nil, "v0_client.py", "--warmup", "0", "--misbehave", c.what, "--after", itoa(c.after))
			if strings.Contains(out, "Traceback") {
				t.Fatal(out)
			}
			if c.known {
				s := r.gone(t, c.frames)
				if s.Live.Frames != c.frames || s.Live.Imbalance != 0 || !strings.Contains(s.Cause, c.cause) {
					t.Errorf("%d frames, imbalance %d, gone because %q; want %d, 0, %q", s.Live.Frames, s.Live.Imbalance, s.Cause, c.frames, c.cause)
				}
			} else if n := len(r.Feeds()); n != 0 {
				t.Errorf("%d cameras are known", n)
			}
			// Nobody else has to suffer for it.
			status, out := client(t, r.addr, []string{"PICAMERA_PACE=0"}, "v0_client.py", "--warmup", "0", "--frames", "5")
			if s := r.gone(t, c.frames+5); status != 0 || s.Live.Frames != c.frames+5 {
				t.Errorf("the next camera ended with %d after %d frames: %s", status, s.Live.Frames-c.frames, out)
			}
		})
	}
}

// Frames of 8192 bytes and fewer arrive one late, as the published script's
// buffer holds them back, and none is lost.
func TestReceiveSmallFrames(t *testing.T) {
	r := startReceiver(t, stream.ReceiverConfig{})
	status, out := client(t, r.addr, nil, "v0_client.py", "--warmup", "0", "-W", "64", "-H", "48", "--frames", "9")
	if s := r.gone(t, 9); status != 0 || s.Live.Frames != 9 || s.Live.FrameSize > 8192 {
		t.Errorf("status %d, %d frames of %d bytes: %s", status, s.Live.Frames, s.Live.FrameSize, out)
	}
}

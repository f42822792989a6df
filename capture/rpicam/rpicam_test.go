//go:build linux

package rpicam

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
	"framepipe/test/standin"
)

func open(t *testing.T, behaviour string, cfg capture.Config) capture.Camera {
	t.Helper()
	install(t, behaviour)
	c, err := Open(t.Context(), "0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// check looks at the ledger and at what the frame shows, and releases it.
func check(t *testing.T, f *frame.Frame, returned int, w, h int) {
	t.Helper()
	defer f.Release()
	if f.Counts.Offered != f.Seq || int(f.Seq-1-f.Counts.LostTotal()) != returned || f.Captured == 0 || f.Dequeued < f.Captured {
		t.Errorf("after %d frames: %+v", returned, f.Meta)
	}
	if f.Width != w || f.Height != h {
		t.Fatalf("%dx%d, want %dx%d", f.Width, f.Height, w, h)
	}
	if f.Format == frame.JPEG {
		if _, r, err := mjpeg.Check(f.Data); err != nil || r.Any() {
			t.Errorf("broken picture: %+v, %v", r, err)
		}
		return
	}
	if f.Format != frame.I420 || len(f.Data) != pixfmt.Size(frame.I420, w, h, 0) || f.Stride != w {
		t.Fatalf("%s, %d bytes, stride %d", f.Format, len(f.Data), f.Stride)
	}
	// Which frame it is, its own chroma says; then every byte has to fit.
	n := uint64(f.Data[w*h]) - 60
	luma, u, v := standin.Scene(w, h, n)
	for i, b := range f.Data[:w*h] {
		if b != luma(i%w, i/w) {
			t.Fatalf("luma at %d,%d: %d, want %d (frame %d)", i%w, i/w, b, luma(i%w, i/w), n)
		}
	}
	c := len(f.Data[w*h:]) / 2
	if !bytes.Equal(f.Data[w*h:w*h+c], bytes.Repeat([]byte{u}, c)) || !bytes.Equal(f.Data[w*h+c:], bytes.Repeat([]byte{v}, c)) {
		t.Fatalf("chroma of frame %d is not its own", n)
	}
}

func TestVideo(t *testing.T) {
	for _, c := range []struct {
		behaviour string
		cfg       capture.Config
		w, h      int
	}{
		{"", capture.Config{Width: 320, Height: 240}, 320, 240},
		{"", capture.Config{}, 640, 480},
		{"", capture.Config{Width: 330, Height: 250, Format: frame.I420}, 330, 250},
		{"align=128", capture.Config{Width: 330, Height: 250, Format: frame.I420}, 330, 250},
		{"align=128", capture.Config{Width: 320, Height: 240, Format: frame.RGB24}, 320, 240},
		{"extra=4000", capture.Config{Width: 330, Height: 250, Format: frame.I420}, 330, 250},
		{"wider", capture.Config{Width: 330, Height: 250, Format: frame.I420}, 352, 250},
		{"noise", capture.Config{Width: 330, Height: 250, Format: frame.I420}, 330, 250},
	} {
		name := c.behaviour
		if c.cfg.Format != 0 {
			name += "-" + c.cfg.Format.Word()
		}
		t.Run(name, func(t *testing.T) {
			c.cfg.FPS = 50
			cam := open(t, c.behaviour, c.cfg)
			info := cam.Info()
			if info.Width != c.w || info.Height != c.h || info.StampKind != "readout" {
				t.Errorf("%+v", info)
			}
			if (len(info.Notes) > 0) != (c.behaviour == "wider") {
				t.Errorf("notes %q", info.Notes)
			}
			var last frame.SenderTime
			for i := range 8 {
				f, err := cam.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if f.StampKind != frame.StampReadout || f.Captured <= last {
					t.Errorf("frame %d: stamp %s %d after %d", i, f.StampKind, f.Captured, last)
				}
				last = f.Captured
				check(t, f, i, c.w, c.h)
			}
		})
	}
}

func TestGapsInTheMetadata(t *testing.T) {
	cam := open(t, "gap=4", capture.Config{Width: 64, Height: 48, FPS: 50})
	lost := uint64(0)
	for i := range 12 {
		f, err := cam.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lost = f.Counts.Lost[frame.LostGap]
		if lost%2 != 0 {
			t.Errorf("%d gaps, they come in pairs", lost)
		}
		check(t, f, i, 64, 48)
	}
	if lost < 4 {
		t.Errorf("%d gaps, want two for every fourth frame", lost)
	}
}

func TestContinuousTakesAFrameFromAfterTheCall(t *testing.T) {
	cam := open(t, "", capture.Config{Width: 64, Height: 48, FPS: 50, Mode: capture.Continuous})
	for i := range 6 {
		called := frame.SenderNow()
		f, err := cam.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Captured < called {
			t.Errorf("read out %v before the call", called.Sub(f.Captured))
		}
		check(t, f, i, 64, 48)
	}
}

func TestWithoutMetadata(t *testing.T) {
	for _, b := range []string{"nometa", "old"} {
		cam := open(t, b, capture.Config{Width: 64, Height: 48, FPS: 50})
		for i := range 10 {
			f, err := cam.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.StampKind != frame.StampArrival {
				t.Errorf("%s: frame stamped %s", b, f.StampKind)
			}
			check(t, f, i, 64, 48)
		}
	}
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		behaviour, words, hint string
		cfg                    capture.Config
	}{
		{"busy", "failed to acquire camera", "another program", capture.Config{}},
		{"busy", "in use by another process", "another program", capture.Config{Format: frame.I420}},
		{"none", "no cameras available", "cable", capture.Config{}},
		{"die=1", "failed to queue request", "", capture.Config{Format: frame.I420}},
	} {
		install(t, c.behaviour)
		cam, err := Open(t.Context(), "0", c.cfg)
		if err == nil {
			cam.Close()
		}
		if !errors.Is(err, capture.ErrGone) || !strings.Contains(err.Error(), c.words) || !strings.Contains(capture.Hint(err), c.hint) {
			t.Errorf("%s: %v (%s)", c.behaviour, err, capture.Hint(err))
		}
	}
	for _, format := range []frame.FourCC{frame.JPEG, frame.I420} {
		cam := open(t, "die=5,noise", capture.Config{Width: 64, Height: 48, FPS: 100, Format: format})
		var err error
		for i := 0; err == nil && i < 10; i++ {
			var f *frame.Frame
			if f, err = cam.Next(t.Context()); err == nil {
				f.Release()
			}
		}
		if !errors.Is(err, capture.ErrGone) || !strings.Contains(err.Error(), "failed to queue request") || len(err.Error()) > 1000 {
			t.Errorf("%s: dies mid-frame: %v", format, err)
		}
	}
}

func TestCloseAndCancel(t *testing.T) {
	for _, b := range []string{"", "stubborn"} {
		cam := open(t, b, capture.Config{Width: 64, Height: 48, FPS: 1, Format: frame.I420})
		f, err := cam.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := cam.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
		c := cam.(*camera)
		if err := cam.Close(); err != nil {
			t.Error(err)
		}
		f.Release() // may come after Close
		if _, err := os.Stat(c.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("left behind: %s", c.dir)
		}
		select {
		case <-c.proc.done:
		default:
			t.Error("the program still runs")
		}
		if c.pool.Out() != 0 {
			t.Errorf("%d frames leaked", c.pool.Out())
		}
	}
}

func TestStill(t *testing.T) {
	for _, format := range []frame.FourCC{frame.JPEG, frame.I420} {
		cam := open(t, "", capture.Config{Width: 330, Height: 250, Port: capture.Still, Format: format})
		for i := range 2 {
			f, err := cam.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if f.StampKind != frame.StampReadout || f.Dequeued.Sub(f.Captured) < 40*time.Millisecond {
				t.Errorf("%+v", f.Meta)
			}
			check(t, f, i, 330, 250)
		}
		if info := cam.Info(); info.Name != "imx219" || info.Port != "still" {
			t.Errorf("%+v", info)
		}
	}
	for _, b := range []string{"short", "busy"} {
		cam := open(t, b, capture.Config{Port: capture.Still})
		if _, err := cam.Next(t.Context()); !errors.Is(err, capture.ErrGone) {
			t.Errorf("%s: %v", b, err)
		}
	}
	install(t, "none")
	if _, err := Open(t.Context(), "0", capture.Config{Port: capture.Still}); !errors.Is(err, capture.ErrGone) {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	install(t, "")
	for _, c := range []struct {
		index string
		cfg   capture.Config
	}{
		{"x", capture.Config{}}, {"-1", capture.Config{}}, {"0;reboot", capture.Config{}}, {"0", capture.Config{FPS: -1}},
		{"0", capture.Config{Width: 100000, Height: 10}}, {"0", capture.Config{Controls: map[string]int64{"zoom": 1}}},
	} {
		cam, err := Open(t.Context(), c.index, c.cfg)
		if err == nil {
			cam.Close()
		}
		if !capture.IsConfig(err) {
			t.Errorf("%q %+v: %v", c.index, c.cfg, err)
		}
	}
	t.Setenv(Env, "/does/not/exist-vid")
	if _, err := Open(t.Context(), "0", capture.Config{}); err == nil || capture.Hint(err) == "" {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	install(t, "")
	cams, err := List(t.Context())
	if err != nil || len(cams) != 2 || cams[0] != (Camera{0, "imx219", "3280x2464", "/base/soc/i2c0mux/i2c@1/imx219@10", false}) || !cams[1].USB {
		t.Errorf("%+v, %v", cams, err)
	}
	old := parseList("Available cameras\n-----------------\n0 : imx477 [4056x3040] (/base/soc/i2c0mux/i2c@1/imx477@1a)\n    Modes: 'SRGGB10_CSI2P' : 1332x990 \n")
	if len(old) != 1 || old[0].Name != "imx477" || old[0].Size != "4056x3040" {
		t.Errorf("%+v", old)
	}
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		w, h, n int
		pisp    bool
		stride  int
	}{
		{640, 480, 460800, false, 640}, {4056, 3040, 18677760, false, 4096}, {330, 250, 384 * 250 * 3 / 2, false, 384},
		{320, 240, 320 * 240 * 3 / 2, true, 320}, {320, 240, 384 * 240 * 3 / 2, false, 384}, {330, 250, 384*250*3/2 + 4096, false, 384},
		{320, 240, 384*240*3/2 + 4096, true, 384}, {330, 250, 330 * 250 * 3 / 2, false, 330}, {320, 240, 1000, false, 0}, {320, 240, 1 << 30, false, 0},
	} {
		l, err := layoutOf(c.w, c.h, c.n, c.pisp)
		if l.stride != c.stride || (err != nil) != (c.stride == 0) {
			t.Errorf("%dx%d in %d bytes: stride %d, %v; want %d", c.w, c.h, c.n, l.stride, err, c.stride)
		}
	}
}

func TestGap(t *testing.T) {
	for _, c := range []struct {
		a, b, d int64
		want    uint64
	}{{0, 5e9, 33333, 0}, {1e9, 1e9 + 33e6, 33333, 0}, {1e9, 1e9 + 45e6, 33333, 0}, {1e9, 1e9 + 67e6, 33333, 1}, {1e9, 1e9 + 333e6, 33333, 9}, {2e9, 1e9, 33333, 0}, {1e9, 2e9, 0, 0}, {1, 1 << 62, 1, 0}} {
		if got := gap(c.a, c.b, c.d); got != c.want {
			t.Errorf("gap(%d, %d, %d) = %d, want %d", c.a, c.b, c.d, got, c.want)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte("SensorTimestamp=12345\nExposureTime=9\n\nSensorTimestamp=-1\n\n"))
	f.Add([]byte("\n\n=\n\nx=" + strings.Repeat("y", 5000) + "\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		readRecords(bytes.NewReader(b), func(r record) bool {
			if n++; r.sensor < 0 || r.duration < 0 || r.exposure < 0 || n > len(b) {
				t.Errorf("%+v", r)
			}
			return true
		})
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte("INFO Camera camera.cpp:1197 configuring streams: (0) 640x480-YUV420\nFileOutput: output buffer 0x1 size 460800\nERROR: *** x ***\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tl := newTail()
		tl.Write(b)
		if len(tl.last()) > 2*maxLines*maxLine*4 || len(tl.part) > maxLine {
			t.Error("not bounded")
		}
		h := tl.get()
		if h.length < 0 || h.length > maxRaw || h.width < 0 {
			t.Errorf("%+v", h)
		}
		parseList(string(b))
	})
}

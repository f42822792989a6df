package open

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		spec string
		kind kind
		rest string
	}{
		{"", auto, ""}, {"auto", auto, ""}, {"-", stdin, ""}, {"/dev/video0", v4l2, "/dev/video0"}, {"v4l2:/dev/video2", v4l2, "/dev/video2"},
		{"v4l2:", unknown, ""}, {"rpicam", rpi, "0"}, {"rpicam:", rpi, "0"}, {"rpicam:1", rpi, "1"}, {"libcamera:0", rpi, "0"},
		{"pattern", synthetic, "pattern"}, {"pattern?noise=3", synthetic, "pattern?noise=3"}, {"pattern:?noise=3", synthetic, "pattern:?noise=3"},
		{"replay:a/b.avi?loop=1", recorded, "replay:a/b.avi?loop=1"}, {"replay:", unknown, ""}, {"http://h/", network, "http://h/"},
		{"https://h/?a=b:c", network, "https://h/?a=b:c"}, {"rtsp://h/", unknown, ""}, {"webcam", unknown, ""}, {"patterns", unknown, ""},
	} {
		k, rest := parse(c.spec)
		if k != c.kind || k != unknown && rest != c.rest {
			t.Errorf("parse(%q) = %d, %q; want %d, %q", c.spec, k, rest, c.kind, c.rest)
		}
	}
}

func TestWarmup(t *testing.T) {
	for spec, want := range map[string]time.Duration{
		"auto": capture.DefaultWarmup, "/dev/video0": capture.DefaultWarmup, "rpicam:0": capture.DefaultWarmup,
		"pattern": 0, "replay:x": 0, "-": 0, "http://h/": 0, "nonsense": 0,
	} {
		if got := Warmup(spec); got != want {
			t.Errorf("Warmup(%q) = %v, want %v", spec, got, want)
		}
	}
}

func TestUnknownSourceSaysWhatThereIs(t *testing.T) {
	for _, spec := range []string{"webcam", "rtsp://h/", "v4l2:"} {
		c, err := Open(t.Context(), spec, capture.Config{})
		if c != nil || !capture.IsConfig(err) || !strings.Contains(capture.Hint(err), "replay:PATH") || !strings.Contains(err.Error(), spec) {
			t.Errorf("%q: %v, %v (%s)", spec, c, err, capture.Hint(err))
		}
	}
}

// Every kind of source that can be had anywhere gives frames, and an error is never
// accompanied by a camera.
func TestOpen(t *testing.T) {
	raw := frame.New(make([]byte, 64*48), nil)
	raw.Format, raw.Width, raw.Height = frame.GREY, 64, 48
	pic, err := mjpeg.NewEncoder().Encode(nil, raw, 80)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.mjpeg")
	if err := os.WriteFile(file, append(pic, pic...), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = in
	t.Cleanup(func() { os.Stdin = old; in.Close() })
	for spec, frames := range map[string]int{"pattern?noise=1": 3, "replay:" + file: 2, "-": 2} {
		c, err := Open(t.Context(), spec, capture.Config{FPS: 100})
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		for range frames {
			f, err := c.Next(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", spec, err)
			}
			f.Release()
		}
		if info := c.Info(); info.Width == 0 || info.Source != spec || info.Format == "" || info.StampKind == "" {
			t.Errorf("%s: %+v", spec, info)
		}
		if !strings.HasPrefix(spec, "pattern") {
			if _, err := c.Next(t.Context()); err != io.EOF {
				t.Errorf("%s at the end: %v", spec, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, spec := range []string{"pattern?x=1", "replay:/none", "http://127.0.0.1:1/", "rpicam:x"} {
		if c, err := Open(t.Context(), spec, capture.Config{}); c != nil || err == nil {
			t.Errorf("%s: %v, %v", spec, c, err)
		}
	}
}

func TestAutoWithoutAnyCamera(t *testing.T) {
	t.Setenv("FRAMEPIPE_RPICAM", "/does/not/exist")
	oldFirst := v4l2First
	v4l2First = func() (string, error) { return "", errors.New("no V4L2 capture device") }
	defer func() { v4l2First = oldFirst }()
	c, err := Open(t.Context(), "auto", capture.Config{})
	if c != nil || err == nil || !strings.Contains(capture.Hint(err), "--source pattern") {
		t.Errorf("%v, %v (%s)", c, err, capture.Hint(err))
	}
}

func TestAutoTakesV4L2WhereThereIsNoLibcamera(t *testing.T) {
	t.Setenv("FRAMEPIPE_RPICAM", "/does/not/exist")
	oldFirst, oldOpen := v4l2First, v4l2Open
	defer func() { v4l2First, v4l2Open = oldFirst, oldOpen }()
	errReached := errors.New("reached")
	v4l2First = func() (string, error) { return "/dev/video7", nil }
	v4l2Open = func(_ context.Context, path string, _ capture.Config) (capture.Camera, error) {
		if path != "/dev/video7" {
			t.Errorf("opened %s", path)
		}
		return nil, errReached
	}
	if _, err := Open(t.Context(), "auto", capture.Config{}); !errors.Is(err, errReached) {
		t.Error(err)
	}
}

//go:build vmguest

package guest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/v4l2src"
	"framepipe/frame"
)

const (
	vivid  = "/dev/video0?input=0"
	hdmi   = "/dev/video0?input=1"
	mplane = "/dev/video1?input=0"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, path string, cfg capture.Config) *v4l2src.Camera {
	t.Helper()
	c, err := v4l2src.Open(t.Context(), path, cfg)
	if err != nil {
		t.Fatalf("open %s %+v: %v (hint: %s)", path, cfg, err, capture.Hint(err))
	}
	t.Cleanup(func() { c.Close() })
	return c.(*v4l2src.Camera)
}

func next(t *testing.T, ctx context.Context, c capture.Camera) *frame.Frame {
	t.Helper()
	f, err := c.Next(ctx)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return f
}

func TestDevices(t *testing.T) {
	devs, err := v4l2src.List()
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]v4l2src.DeviceInfo{}
	for _, d := range devs {
		byPath[d.Path] = d
	}
	for _, p := range []string{"/dev/video0", "/dev/video1"} {
		d := byPath[p]
		if d.Driver != "vivid" || !d.Usable || d.Error != "" || !strings.HasPrefix(d.Bus, "platform:vivid") {
			t.Errorf("%s: %+v", p, d)
		}
		var yuyv v4l2src.FormatInfo
		for _, f := range d.Formats {
			if f.FourCC == "YUYV" {
				yuyv = f
			}
		}
		if yuyv.Word != "yuyv" || len(yuyv.Sizes) < 5 {
			t.Fatalf("%s: YUYV is %+v", p, yuyv)
		}
		for _, s := range yuyv.Sizes {
			if s.Width == 0 || s.Height == 0 || len(s.FPS) == 0 || s.FPS[0] <= 0 {
				t.Errorf("%s: size %+v", p, s)
			}
		}
		found := false
		for _, c := range d.Controls {
			found = found || c.Name == "brightness" && c.Type == "int" && c.Max > c.Min && c.Value == c.Default
		}
		if !found {
			t.Errorf("%s: no proper brightness among %d controls", p, len(d.Controls))
		}
	}
	first, err := v4l2src.First()
	if err != nil || first != "/dev/video0" {
		t.Errorf("First: %q, %v", first, err)
	}
}

func TestFormats(t *testing.T) {
	for _, tc := range []struct {
		name, path, native string
		want               frame.FourCC
		w, h, gotW, gotH   int
	}{
		{"jpeg from YUYV", vivid, "yuyv", frame.JPEG, 320, 180, 320, 180},
		{"yuv", vivid, "yuv", frame.I420, 640, 480, 640, 480},
		{"rgb", vivid, "rgb", frame.RGB24, 640, 360, 640, 360},
		{"bgr", vivid, "bgr", frame.BGR24, 320, 180, 320, 180},
		{"nv12", vivid, "nv12", frame.NV12, 1280, 720, 1280, 720},
		{"grey", vivid, "grey", frame.GREY, 320, 180, 320, 180},
		{"nearest size", vivid, "yuyv", frame.JPEG, 320, 240, 320, 180},
		{"HDMI at any size", hdmi, "yuyv", frame.JPEG, 322, 242, 322, 242},
		{"HDMI yuv with padding", hdmi, "yuv", frame.I420, 340, 250, 340, 250},
		{"multi-planar YUYV", mplane, "yuyv", frame.JPEG, 320, 180, 320, 180},
		{"multi-planar NV12", mplane, "nv12", frame.NV12, 640, 480, 640, 480},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := within(t, 20*time.Second)
			c := open(t, tc.path, capture.Config{Width: tc.w, Height: tc.h, Format: tc.want})
			i := c.Info()
			t.Logf("%+v; %v", i, c.Native())
			if i.Format != tc.native || i.Width != tc.gotW || i.Height != tc.gotH {
				t.Fatalf("got %s %dx%d, want %s %dx%d", i.Format, i.Width, i.Height, tc.native, tc.gotW, tc.gotH)
			}
			if len(i.Sizes) == 0 { // a choice of sizes for the page
				t.Error("it tells no sizes")
			}
			if noted := strings.Contains(strings.Join(i.Notes, ";"), "was asked for"); noted != (tc.w != tc.gotW || tc.h != tc.gotH) {
				t.Errorf("notes: %q", i.Notes)
			}
			for range 5 {
				f := next(t, ctx, c)
				if f.Width != i.Width || f.Height != i.Height || f.Format.Word() != tc.native || f.Stride < c.Native().BytesPerLine {
					t.Errorf("frame %+v", f.Meta)
				}
				if len(f.Data) != c.Native().SizeImage {
					t.Errorf("%d bytes, the driver said %d", len(f.Data), c.Native().SizeImage)
				}
				if flat(f) {
					t.Error("the picture is one colour")
				}
				f.Release()
			}
		})
	}
}

// flat reports whether the first plane is one colour in the upper half, where
// vivid draws colour bars.
func flat(f *frame.Frame) bool {
	row := f.Data[f.Stride*(f.Height/8):]
	for i := 4; i < f.Stride/2; i++ {
		if row[i] != row[i%4] {
			return false
		}
	}
	return true
}

func TestStampsAndLedger(t *testing.T) {
	for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
		t.Run(mode.String(), func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			c := open(t, vivid, capture.Config{Width: 320, Height: 180, Mode: mode, Controls: map[string]int64{"timestamp_source": 1}})
			defer c.SetControl("timestamp_source", 0)
			var last frame.Meta
			for n := range uint64(40) {
				if n%5 == 4 {
					time.Sleep(120 * time.Millisecond) // a consumer that is busy
				}
				f := next(t, ctx, c)
				m := f.Meta
				f.Release()
				if m.Counts.Offered != m.Seq || m.Seq <= last.Seq {
					t.Fatalf("frame %d after %d, offered %d", m.Seq, last.Seq, m.Counts.Offered)
				}
				if returned := m.Counts.Offered - 1 - m.Counts.LostTotal(); returned != n {
					t.Fatalf("ledger: offered %d, lost %v, so %d before this one; %d were", m.Counts.Offered, m.Counts.Lost, returned, n)
				}
				if m.StampKind != frame.StampStart {
					t.Fatalf("stamp kind %v", m.StampKind)
				}
				d := m.Dequeued.Sub(m.Captured)
				if m.Captured <= last.Captured || d < 0 || d > 5*time.Second {
					t.Fatalf("captured %d after %d, dequeued %v later", m.Captured, last.Captured, d)
				}
				if now := frame.SenderNow(); m.Dequeued > now || now.Sub(m.Dequeued) > 5*time.Second {
					t.Fatalf("dequeued %v ago", now.Sub(m.Dequeued))
				}
				last = m
			}
			t.Logf("%+v", last.Counts)
			lost := last.Counts.Lost[frame.LostEncoderBusy]
			if mode == capture.Continuous {
				lost = last.Counts.Lost[frame.LostGap]
			}
			if lost == 0 {
				t.Error("a busy consumer missed no frames")
			}
			if k := c.Info().StampKind; k != last.StampKind.String() {
				t.Errorf("Info says %s", k)
			}
		})
	}
}

// vivid stamps the end of a frame but delivers it when it begins: what lies in
// the future is not believed, and said.
func TestStampsInTheFuture(t *testing.T) {
	ctx := within(t, 20*time.Second)
	c := open(t, vivid, capture.Config{Width: 320, Height: 180, FPS: 10, Controls: map[string]int64{"timestamp_source": 0}})
	for range 5 {
		f := next(t, ctx, c)
		if f.Captured > f.Dequeued || f.StampKind != frame.StampArrival && f.StampKind != frame.StampEnd {
			t.Errorf("captured %v before it was dequeued, as %v", f.Dequeued.Sub(f.Captured), f.StampKind)
		}
		f.Release()
	}
	if n := c.Info().Notes; !strings.Contains(strings.Join(n, ";"), "stamped on arrival") {
		t.Errorf("notes: %q", n)
	}
}

func TestFrameRate(t *testing.T) {
	ctx := within(t, 30*time.Second)
	slow := open(t, vivid, capture.Config{Width: 320, Height: 180, FPS: 10})
	if fps := slow.Info().FPS; fps != 10 {
		t.Fatalf("asked for 10 fps, got %v", fps)
	}
	var first, last frame.Meta
	for i := range 15 {
		f := next(t, ctx, slow)
		if i == 0 {
			first = f.Meta
		}
		last = f.Meta
		f.Release()
	}
	gap := last.Captured.Sub(first.Captured) / time.Duration(last.Seq-first.Seq)
	if gap < 80*time.Millisecond || gap > 150*time.Millisecond {
		t.Errorf("frames are %v apart at 10 fps", gap)
	}
	slow.Close()
	if fps := open(t, vivid, capture.Config{Width: 320, Height: 180}).Info().FPS; fps < 25 {
		t.Errorf("asked for the most, got %v fps", fps)
	}
}

func TestStillPort(t *testing.T) {
	ctx := within(t, 60*time.Second)
	c := open(t, mplane, capture.Config{Width: 320, Height: 180, Format: frame.GREY, Port: capture.Still})
	i := c.Info()
	if i.Width < 1920 || len(i.Notes) == 0 {
		t.Fatalf("%+v", i)
	}
	var held []*frame.Frame
	for n := range uint64(3) {
		f := next(t, ctx, c)
		if f.Width != i.Width || f.Seq != n+1 || f.Counts.LostTotal() != 0 || flat(f) {
			t.Errorf("frame %+v", f.Meta)
		}
		held = append(held, f)
	}
	for _, f := range held {
		f.Release()
	}
}

func TestHeldFrames(t *testing.T) {
	ctx := within(t, 30*time.Second)
	c := open(t, vivid, capture.Config{Width: 320, Height: 180})
	var held []*frame.Frame
	var sums []uint32
	for range 10 { // many more than the driver has buffers
		f := next(t, ctx, c)
		held, sums = append(held, f), append(sums, sum(f.Data))
	}
	if c.Copied() == 0 {
		t.Error("10 frames held and none copied")
	}
	for range 10 {
		next(t, ctx, c).Release()
	}
	c.Close()
	for i, f := range held {
		if sum(f.Data) != sums[i] {
			t.Errorf("held frame %d was overwritten", i)
		}
	}
	// The device must be free although frames are still out.
	again := open(t, vivid, capture.Config{Width: 640, Height: 480})
	next(t, ctx, again).Release()
	for _, f := range held {
		f.Release()
	}
}

func sum(b []byte) (s uint32) {
	for _, v := range b {
		s = s*31 + uint32(v)
	}
	return s
}

func TestCancel(t *testing.T) {
	c := open(t, vivid, capture.Config{Width: 320, Height: 180, FPS: 5})
	next(t, within(t, 10*time.Second), c).Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a cancelled context: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for {
		f, err := c.Next(ctx)
		if err == nil {
			f.Release()
			continue
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next: %v", err)
		}
		break
	}
	next(t, within(t, 10*time.Second), c).Release()
}

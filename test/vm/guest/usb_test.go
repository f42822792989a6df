//go:build vmguest

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/v4l2src"
	"framepipe/frame"
)

var usbIdentity = v4l2src.Identity{Name: "Virtual USB camera", Driver: "uvcvideo"}

// plug plugs the USB camera in and returns its device and how to pull it out.
func plug(t *testing.T, args ...string) (path string, unplug func()) {
	t.Helper()
	if _, err := os.Stat("/bin/usbcam"); err != nil {
		t.Skip("no USB in this machine")
	}
	cmd := exec.Command("/bin/usbcam", args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := false
	unplug = func() {
		if !out {
			out = true
			cmd.Process.Kill()
			cmd.Wait()
			waitGone(t)
		}
	}
	t.Cleanup(unplug)
	path, err := v4l2src.WaitFor(within(t, 20*time.Second), "/dev/video2", usbIdentity)
	if err != nil {
		t.Fatalf("the USB camera does not appear: %v", err)
	}
	return path, unplug
}

// waitGone waits until the kernel has noticed.
func waitGone(t *testing.T) {
	for range 200 {
		devs, err := v4l2src.List()
		if err != nil {
			t.Error(err)
		}
		there := false
		for _, d := range devs {
			there = there || d.Driver == "uvcvideo"
		}
		if !there {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the unplugged camera is still listed")
}

// number is what usbcam wrote into the picture's comment.
func number(t *testing.T, b []byte) int {
	t.Helper()
	var n int
	_, text, ok := bytes.Cut(b[:min(len(b), 64)], []byte("usbcam "))
	if _, err := fmt.Sscan(string(text[:min(len(text), 12)]), &n); !ok || err != nil {
		t.Fatalf("no number in % x", b[:min(len(b), 32)])
	}
	return n
}

func TestMJPEG(t *testing.T) {
	path, _ := plug(t)
	for _, tc := range []struct {
		name       string
		want       frame.FourCC
		w, h       int
		fps        float64
		gotW, gotH int
		gotFPS     float64
	}{
		{"as asked", frame.JPEG, 320, 240, 20, 320, 240, 20},
		{"the most", frame.JPEG, 160, 120, 0, 160, 120, 30},
		{"nearest", frame.JPEG, 700, 500, 12, 640, 480, 10},
		{"to be decoded", frame.I420, 320, 240, 10, 320, 240, 10},
		{"the camera's choice", frame.JPEG, 0, 0, 10, 320, 240, 10}, // what was set last
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			c := open(t, path, capture.Config{Width: tc.w, Height: tc.h, FPS: tc.fps, Format: tc.want})
			i := c.Info()
			if i.Width != tc.gotW || i.Height != tc.gotH || i.Format != "jpeg" || i.FPS < tc.gotFPS-0.1 || i.FPS > tc.gotFPS+0.1 || i.Driver != "uvcvideo" || i.Name != usbIdentity.Name {
				t.Fatalf("%+v", i)
			}
			if !slices.ContainsFunc(i.Sizes, func(s capture.Size) bool {
				return s.Width == i.Width && s.Height == i.Height && slices.ContainsFunc(s.FPS, func(fps float64) bool { return math.Abs(fps-i.FPS) < 0.1 })
			}) {
				t.Errorf("%dx%d at %g fps is not among what it offers: %v", i.Width, i.Height, i.FPS, i.Sizes)
			}
			last := 0
			for range 8 {
				f := next(t, ctx, c)
				if f.Format != frame.JPEG || f.Stride != 0 || f.StampKind != frame.StampStart || f.Captured > f.Dequeued {
					t.Errorf("%+v", f.Meta)
				}
				n := number(t, f.Data)
				if n <= last {
					t.Errorf("picture %d after %d", n, last)
				}
				last = n
				cfg, err := jpeg.DecodeConfig(bytes.NewReader(f.Data))
				if err != nil || cfg.Width != tc.gotW || cfg.Height != tc.gotH {
					t.Errorf("%+v, %v", cfg, err)
				}
				f.Release()
			}
			if note := strings.Join(i.Notes, ";"); !strings.Contains(note, "first USB packet") {
				t.Errorf("notes: %s", note)
			}
		})
	}
}

// TestEveryFrame: at a rate the machine keeps up with, the ledger's gaps are the
// gaps in the camera's own numbers.
func TestEveryFrame(t *testing.T) {
	path, _ := plug(t)
	ctx := within(t, 30*time.Second)
	c := open(t, path, capture.Config{Width: 160, Height: 120, FPS: 20})
	var first, last, returned int
	var counts frame.Counts
	for i := range 60 {
		if i == 30 {
			time.Sleep(400 * time.Millisecond)
		}
		f := next(t, ctx, c)
		n := number(t, f.Data)
		if i == 0 {
			first = n - int(f.Seq) // what the camera sent before the first dequeued one
		}
		if last = n; int(f.Seq) != n-first {
			t.Errorf("picture %d has Seq %d, lost %v", n, f.Seq, f.Counts.Lost)
		}
		counts = f.Counts
		returned++
		f.Release()
	}
	if counts.Offered != uint64(last-first) || counts.Offered-counts.LostTotal() != uint64(returned) {
		t.Errorf("camera sent %d, returned %d, ledger %+v", last-first, returned, counts)
	}
	if counts.Lost[frame.LostEncoderBusy] < 3 {
		t.Errorf("400 ms of idleness at 20 fps, and %+v", counts)
	}
}

func TestBrokenPictures(t *testing.T) {
	for _, tc := range []struct {
		quirk string
		check func(b []byte) bool
	}{
		{"nodht", func(b []byte) bool { return !bytes.Contains(b, []byte{0xff, 0xc4}) }},
		{"trailing", func(b []byte) bool { return bytes.HasSuffix(b, make([]byte, 37)) }},
		{"noeoi", func(b []byte) bool { return !bytes.HasSuffix(b, []byte{0xff, 0xd9}) }},
		{"truncated", func(b []byte) bool { return !bytes.HasSuffix(b, []byte{0xff, 0xd9}) }},
	} {
		t.Run(tc.quirk, func(t *testing.T) {
			path, _ := plug(t, "-quirk", tc.quirk)
			ctx := within(t, 30*time.Second)
			c := open(t, path, capture.Config{Width: 160, Height: 120})
			for range 3 {
				f := next(t, ctx, c)
				if number(t, f.Data); !tc.check(f.Data) {
					t.Errorf("%d bytes ending in % x", len(f.Data), f.Data[max(0, len(f.Data)-8):])
				}
				f.Release()
			}
		})
	}
}

// TestDamaged: empty and flagged buffers are counted, given back, and do not end
// anything.
func TestDamaged(t *testing.T) {
	for _, quirk := range []string{"empty", "error"} {
		for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
			t.Run(quirk+" "+mode.String(), func(t *testing.T) {
				path, _ := plug(t, "-quirk", quirk, "-every", "3")
				// Without this, uvcvideo itself drops flagged frames.
				if err := os.WriteFile("/sys/module/uvcvideo/parameters/nodrop", []byte("1"), 0); err != nil {
					t.Fatal(err)
				}
				ctx := within(t, 30*time.Second)
				c := open(t, path, capture.Config{Width: 160, Height: 120, FPS: 20, Mode: mode})
				var counts frame.Counts
				for n := range uint64(20) {
					f := next(t, ctx, c)
					if number(t, f.Data)%3 == 0 {
						t.Error("a broken picture came through")
					}
					counts = f.Counts
					f.Release()
					if counts.Offered-1-counts.LostTotal() != n {
						t.Fatalf("ledger %+v at frame %d", counts, n)
					}
				}
				// uvcvideo uses the buffer of an empty picture for the next one, so
				// that only its number is missing.
				cause := frame.LostDriverError
				if quirk == "empty" {
					cause = frame.LostGap
				}
				if counts.Lost[cause] < 3 {
					t.Errorf("%+v", counts)
				}
			})
		}
	}
}

func TestUSBControls(t *testing.T) {
	path, _ := plug(t)
	c := open(t, path, capture.Config{Width: 160, Height: 120, Controls: map[string]int64{"exposure_time_absolute": 500, "auto_exposure": 1}})
	all, err := c.Controls()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]capture.Control{}
	for _, k := range all {
		got[k.Name] = k
	}
	if k := got["exposure_time_absolute"]; k.Value != 500 || k.Default != 156 || k.Max != 2047 {
		t.Errorf("%+v", k)
	}
	if k := got["auto_exposure"]; k.Value != 1 || k.Type != "menu" || len(k.Menu) != 2 {
		t.Errorf("%+v", k)
	}
	if v, err := c.SetControl("brightness", 33); err != nil || v != 33 {
		t.Errorf("brightness: %d, %v", v, err)
	}
}

func TestUnplug(t *testing.T) {
	path, unplug := plug(t)
	ctx := within(t, 150*time.Second) // generous: an emulated Pi on a busy machine
	for round := range 2 {
		c := open(t, path, capture.Config{Width: 320, Height: 240})
		held := next(t, ctx, c)
		next(t, ctx, c).Release()
		go func() {
			time.Sleep(200 * time.Millisecond)
			unplug()
		}()
		var err error
		for err == nil {
			var f *frame.Frame
			if f, err = c.Next(ctx); err == nil {
				f.Release()
			}
		}
		t.Logf("%v; hint: %s", err, capture.Hint(err))
		if !errors.Is(err, capture.ErrGone) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "no such device") || !strings.Contains(err.Error(), usbIdentity.Name) {
			t.Fatalf("unplugged: %v", err)
		}
		if _, again := c.Next(ctx); !errors.Is(again, capture.ErrGone) {
			t.Errorf("Next after that: %v", again)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		number(t, held.Data) // still readable
		if round == 1 {
			held.Release()
			break
		}
		back := make(chan string)
		go func() {
			p, err := c.Await(ctx)
			if err != nil {
				p = err.Error()
			}
			back <- p
		}()
		time.Sleep(300 * time.Millisecond)
		select {
		case p := <-back:
			t.Fatalf("Await returned %s while it is unplugged", p)
		default:
		}
		waitGone(t)
		path, unplug = plug(t)
		if p := <-back; p != path {
			t.Fatalf("Await: %s, want %s", p, path)
		}
		held.Release() // belongs to the camera that is gone
	}
}

// TestStall: a camera that is there but sends nothing.
func TestStall(t *testing.T) {
	path, _ := plug(t, "-stall", "3")
	ctx := within(t, 60*time.Second)
	c := open(t, path, capture.Config{Width: 160, Height: 120})
	start := time.Now()
	var err error
	for err == nil {
		var f *frame.Frame
		if f, err = c.Next(ctx); err == nil {
			f.Release()
		}
	}
	if !errors.Is(err, capture.ErrGone) || !strings.Contains(err.Error(), "no frames for 5s") || time.Since(start) < 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestBusy(t *testing.T) {
	if os.Getenv("GUEST_HOLD") != "" { // this is the other process
		c := open(t, os.Getenv("GUEST_HOLD"), capture.Config{Width: 160, Height: 120})
		next(t, t.Context(), c).Release()
		fmt.Println("holding")
		time.Sleep(time.Minute)
		return
	}
	path, _ := plug(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBusy$")
	cmd.Env = append(os.Environ(), "GUEST_HOLD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if n, err := out.Read(make([]byte, 64)); n == 0 {
		t.Fatalf("the other process: %v", err)
	}
	_, err = v4l2src.Open(t.Context(), path, capture.Config{Width: 160, Height: 120})
	want := fmt.Sprintf("used by guest.test (pid %d)", cmd.Process.Pid)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || capture.Hint(err) == "" {
		t.Fatalf("%v; want %s; hint: %s", err, want, capture.Hint(err))
	}
	cmd.Process.Kill()
	cmd.Wait()
	next(t, within(t, 20*time.Second), open(t, path, capture.Config{Width: 160, Height: 120})).Release()
	var dead context.Context
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v4l2src.WaitFor(dead, "/dev/video99", usbIdentity); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("WaitFor: %v", err)
	}
}

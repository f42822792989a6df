//go:build vmguest

package guest

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/v4l2"
)

var yuyv = v4l2.MakeFourCC("YUYV")

// stream opens a vivid device at a format and starts it.
func stream(t *testing.T, path string, f v4l2.Format, buffers int) (*v4l2.Device, *v4l2.Stream, v4l2.Format) {
	t.Helper()
	d, err := v4l2.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.SetInput(0); err != nil {
		t.Fatal(err)
	}
	got, err := d.SetFormat(f)
	if err != nil {
		t.Fatal(err)
	}
	if iv, err := d.SetInterval(v4l2.Fraction{Num: 1, Den: 60}); err != nil || iv.FPS() < 1 {
		t.Fatalf("%v, %v", iv, err)
	}
	s, err := d.NewStream(buffers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(); s.Free() })
	for i := range s.Len() {
		if err := s.Queue(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return d, s, got
}

// TestStride: vivid pads rows when asked to; what the driver answers must agree
// with where the pixels are.
func TestStride(t *testing.T) {
	for _, path := range []string{"/dev/video0", "/dev/video1"} {
		_, s, got := stream(t, path, v4l2.Format{Width: 320, Height: 180, PixelFormat: yuyv, Field: 1, BytesPerLine: 704}, 4)
		if got.BytesPerLine != 704 || got.SizeImage < 704*180 {
			t.Fatalf("%s: %v", path, got)
		}
		s.SetDeadline(time.Now().Add(10 * time.Second))
		var b v4l2.Buffer
		if err := s.Wait(&b); err != nil {
			t.Fatal(err)
		}
		// The colour bars: most rows look alike, at the right stride only. The text that
		// vivid writes does not reach the right edge.
		data := s.Data(b.Index)[b.DataOffset:b.BytesUsed]
		same := 0
		for y := 20; y < 60; y++ {
			if string(data[y*704+560:y*704+640]) == string(data[(y+1)*704+560:(y+1)*704+640]) {
				same++
			}
		}
		if wrong := string(data[20*640:20*640+640]) == string(data[21*640:21*640+640]); same < 25 || wrong {
			t.Errorf("%s: %d of 40 rows are like the next one; at a stride of 640 rows are alike: %v", path, same, wrong)
		}
	}
}

func TestTryFormatChangesNothing(t *testing.T) {
	d, err := v4l2.Open("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	before, err := d.Format()
	if err != nil {
		t.Fatal(err)
	}
	try, err := d.TryFormat(v4l2.Format{Width: before.Width * 2, Height: 100, PixelFormat: v4l2.MakeFourCC("NV12")})
	if err != nil || try.PixelFormat != v4l2.MakeFourCC("NV12") {
		t.Errorf("%v, %v", try, err)
	}
	if after, err := d.Format(); err != nil || after != before {
		t.Errorf("%v became %v, %v", before, after, err)
	}
	ins, err := d.Inputs()
	if err != nil || len(ins) != 2 || ins[1].Name == "" {
		t.Errorf("%+v, %v", ins, err)
	}
	if err := d.Alive(); err != nil {
		t.Error(err)
	}
}

func TestRawNoAllocation(t *testing.T) {
	for _, path := range []string{"/dev/video0", "/dev/video1"} {
		_, s, _ := stream(t, path, v4l2.Format{Width: 320, Height: 180, PixelFormat: yuyv}, 4)
		s.SetDeadline(time.Now().Add(20 * time.Second))
		var b v4l2.Buffer
		n := perFrame(t, 60, func() {
			if err := s.Wait(&b); err != nil {
				t.Fatal(err)
			}
			if err := s.Queue(b.Index); err != nil {
				t.Fatal(err)
			}
			if err := s.Dequeue(&b); err == nil {
				s.Queue(b.Index)
			} else if err != unix.EAGAIN {
				t.Fatal(err)
			}
		})
		if n > 0.1 {
			t.Errorf("%s: %.2f allocations per frame", path, n)
		}
	}
}

// perFrame counts allocations of the whole process, so that those of other
// goroutines are seen as well. The runtime's own make a few in all.
func perFrame(t *testing.T, frames int, do func()) float64 {
	t.Helper()
	do()
	do()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range frames {
		do()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(frames)
}

func TestNoAllocation(t *testing.T) {
	for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
		t.Run(mode.String(), func(t *testing.T) {
			ctx := within(t, 30*time.Second)
			c := open(t, vivid, capture.Config{Width: 320, Height: 180, Mode: mode})
			for range 8 { // each buffer's frame object is made once
				next(t, ctx, c).Release()
			}
			if n := perFrame(t, 60, func() { next(t, ctx, c).Release() }); n > 0.1 {
				t.Errorf("%.2f allocations per frame", n)
			}
		})
	}
}

// TestWait: deadline, interruption from another goroutine, and use after that.
func TestWait(t *testing.T) {
	_, s, _ := stream(t, "/dev/video0", v4l2.Format{Width: 320, Height: 180, PixelFormat: yuyv}, 3)
	var b v4l2.Buffer
	s.SetDeadline(time.Now().Add(10 * time.Second))
	for range s.Len() { // take all, so that nothing more comes
		if err := s.Wait(&b); err != nil {
			t.Fatal(err)
		}
	}
	s.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if err := s.Wait(&b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Wait to its deadline: %v", err)
	}
	s.SetDeadline(time.Time{})
	go func() {
		time.Sleep(50 * time.Millisecond)
		s.Interrupt()
	}()
	if err := s.Wait(&b); err != v4l2.ErrStopped {
		t.Errorf("interrupted Wait: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	for i := range s.Len() {
		if err := s.Queue(i); err != nil {
			t.Error(err)
		}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(10 * time.Second))
	if err := s.Wait(&b); err != nil {
		t.Errorf("after starting anew: %v", err)
	}
}

// TestRestarts: a stream that is started anew is woken for its frames, however
// the driver's lock and the runtime's signals meet. A wake-up that got lost
// shows as a frame that only a deadline finds.
func TestRestarts(t *testing.T) {
	// Large pictures, so that vivid holds its lock for long.
	_, s, _ := stream(t, "/dev/video0", v4l2.Format{Width: 1920, Height: 1080, PixelFormat: yuyv}, 4)
	var b v4l2.Buffer
	lost := 0
	for range 25 {
		s.SetDeadline(time.Now().Add(3 * time.Second))
		for range 2 {
			start := time.Now()
			if err := s.Wait(&b); err != nil {
				t.Fatal(err)
			}
			if time.Since(start) > 2900*time.Millisecond {
				lost++
				s.SetDeadline(time.Now().Add(3 * time.Second))
			}
			if err := s.Queue(b.Index); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		for i := range s.Len() {
			if err := s.Queue(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if lost > 0 {
		t.Errorf("%d of 50 wake-ups were lost", lost)
	}
}

//go:build vmguest

package guest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/v4l2src"
	"framepipe/frame"
)

// Vivid can be made to fail.

func TestInjectedBufferErrors(t *testing.T) {
	ctx := within(t, 30*time.Second)
	c := open(t, vivid, capture.Config{Width: 320, Height: 180})
	for n := range uint64(40) {
		if n%10 == 5 {
			if _, err := c.SetControl("inject_v4l2_buf_flag_error", 0); err != nil {
				t.Fatal(err)
			}
		}
		f := next(t, ctx, c)
		counts := f.Counts
		f.Release()
		if counts.Offered-1-counts.LostTotal() != n {
			t.Fatalf("frame %d: %+v", n, counts)
		}
		if n == 39 && counts.Lost[frame.LostDriverError] == 0 {
			t.Errorf("%+v", counts)
		}
	}
}

func TestDroppedBuffers(t *testing.T) {
	ctx := within(t, 30*time.Second)
	c := open(t, vivid, capture.Config{Width: 320, Height: 180, Controls: map[string]int64{"percentage_of_dropped_buffers": 30, "wrap_sequence_number": 1}})
	defer c.SetControl("percentage_of_dropped_buffers", 0)
	defer c.SetControl("wrap_sequence_number", 0)
	var counts frame.Counts
	for n := range uint64(150) { // the numbers wrap at 128 frames
		f := next(t, ctx, c)
		counts = f.Counts
		f.Release()
		if counts.Offered-1-counts.LostTotal() != n {
			t.Fatalf("frame %d: %+v", n, counts)
		}
	}
	t.Logf("%+v", counts)
	if g := counts.Lost[frame.LostGap]; g < 10 || g > counts.Offered*2/3 {
		t.Errorf("30 %% dropped, and %+v", counts)
	}
}

func TestFatalError(t *testing.T) {
	ctx := within(t, 30*time.Second)
	c := open(t, vivid, capture.Config{Width: 320, Height: 180})
	next(t, ctx, c).Release()
	if _, err := c.SetControl("inject_fatal_streaming_error", 0); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		var f *frame.Frame
		if f, err = c.Next(ctx); err == nil {
			f.Release()
		}
	}
	t.Log(err)
	if !errors.Is(err, capture.ErrGone) || !strings.Contains(err.Error(), "/dev/video0") {
		t.Errorf("%v", err)
	}
	c.Close()
	next(t, ctx, open(t, vivid, capture.Config{Width: 320, Height: 180})).Release()
}

func TestFailingStart(t *testing.T) {
	c := open(t, vivid, capture.Config{Width: 320, Height: 180})
	if _, err := c.SetControl("inject_vidioc_streamon_error", 0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	_, err := v4l2src.Open(t.Context(), vivid, capture.Config{Width: 320, Height: 180})
	if err == nil || !strings.Contains(err.Error(), "VIDIOC_STREAMON") {
		t.Errorf("%v", err)
	}
	next(t, within(t, 10*time.Second), open(t, vivid, capture.Config{Width: 320, Height: 180})).Release()
}

package replay

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/frame"
)

// The camera's stamps, in nanoseconds, where they agree with the file's times, which
// are rounded; the file's where they do not, or where there are none.
func TestStampsSharpenTimes(t *testing.T) {
	us := func(all ...int) (out []item) {
		for _, v := range all {
			out = append(out, item{at: time.Duration(v) * time.Microsecond})
		}
		return out
	}
	for name, c := range map[string]struct {
		items   []item
		stamped []frame.SenderTime
		want    []time.Duration
	}{
		"as the camera gave them": {us(0, 33_333, 66_667), []frame.SenderTime{1_000_000_111, 1_033_333_444, 1_066_666_777}, []time.Duration{0, 33_333_333, 66_666_666}},
		"a timelapse":             {us(0, 40_000, 80_000), []frame.SenderTime{1, 1_000_000_001, 2_000_000_001}, []time.Duration{0, 40_000_000, 80_000_000}},
		"the clock was set":       {us(0, 33_333, 70_000, 103_333), []frame.SenderTime{5_000_000_000, 5_033_333_333, 7, 33_333_340}, []time.Duration{0, 33_333_333, 70_000_000, 103_333_333}},
		"some without":            {us(0, 10_000, 20_000), []frame.SenderTime{0, 50}, []time.Duration{0, 10_000_000, 20_000_000}},
	} {
		p := mkvParser{items: c.items, stamped: c.stamped}
		p.sharpen()
		var got []time.Duration
		for _, it := range p.items {
			got = append(got, it.at)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A recording that an earlier version made is played as it was: all frames, with the
// camera's own spacing.
func TestRecordingOfAnEarlierVersion(t *testing.T) {
	c, err := Open(t.Context(), "replay:testdata/ours.mkv?rate=max", capture.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reel := c.(*camera).reel.(*indexed)
	var last time.Duration
	n := 0
	for {
		f, err := c.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Width != 96 || f.Height != 64 || f.Format != frame.JPEG {
			t.Fatalf("frame %d is %dx%d %v", n, f.Width, f.Height, f.Format)
		}
		if at := reel.items[n].at; n > 0 && at-last != 100*time.Millisecond { // by the stamps, to the nanosecond
			t.Errorf("frame %d comes %v after the one before", n, at-last)
		}
		last = reel.items[n].at
		f.Release()
		n++
	}
	if n != 15 {
		t.Errorf("%d frames, want 15", n)
	}
}

package camera

import (
	"fmt"
	"math"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/transform"
)

// What an adapter does to make frames fit: quality first, down to where blocks
// begin to show; then the picture's size; then the frame rate.
const (
	lowQuality = 40 // below it, a smaller picture looks better
	leastQ     = 15 // at the smallest size
	patience   = 5  // frames in a row that do not fit before the size changes
	comfort    = 45 // frames in a row with room to spare before it changes back
	roomQ      = 72 // quality at the smaller size that shows there is room for the larger
	sizePower  = 0.65
	mostSkip   = 8
)

// scales are the picture's sizes, as eighths of what was asked for.
var scales = [...]int{8, 6, 4, 3, 2}

// adapter turns a budget in bytes into what to do with the next frame. It is
// owned by the capture loop.
type adapter struct {
	top     int // quality that was asked for
	q       int // of the newest frame
	bytes   int // of the newest frame
	scale   int // index into scales
	low     int // frames in a row that did not fit at the lowest quality
	spare   int // frames in a row with room
	skip    int // of pass-through frames, send one of so many
	counter int

	reencode bool // pass-through frames are encoded anew: nothing else fits
	own      bool // the camera's own quality control is used
}

func (a *adapter) scaled(n int) int { return max(n*scales[a.scale]/8, 2) &^ 1 }

// describe says what is being done, for people.
func (a *adapter) describe() string {
	how := "quality"
	switch {
	case a.own:
		how = "the camera's own quality"
	case a.reencode:
		how = "quality, encoding the camera's JPEGs anew"
	case a.skip > 1:
		return fmt.Sprintf("frame rate: one frame of %d", a.skip)
	}
	if a.scale > 0 {
		how += fmt.Sprintf(", size to %d/8", scales[a.scale])
	}
	return how
}

func newAdapter(quality int) *adapter { return &adapter{top: quality, q: quality, skip: 1} }

// tables is libjpeg's scale factor of the quantisation tables for a quality.
func tables(q int) float64 {
	if q < 50 {
		return 5000 / float64(q)
	}
	return max(200-2*float64(q), 1)
}

// quality is the inverse of tables.
func quality(s float64) int {
	if s > 100 {
		return int(5000 / s)
	}
	return int((200 - s) / 2)
}

// next is the quality for a frame of at most budget bytes, learned from the one
// before: a JPEG's size goes about with a power of its tables' scale. Rescale
// says that the scale has changed.
func (a *adapter) next(budget int) (q int, rescale bool) {
	least := lowQuality
	if a.scale == len(scales)-1 {
		least = leastQ
	}
	want := a.top
	if budget > 0 && a.bytes > 0 {
		s := tables(a.q) * math.Pow(float64(a.bytes)/float64(budget), 1/sizePower)
		want = quality(min(max(s, 1), 5000))
	}
	want = min(max(want, least), a.top)
	switch {
	case budget > 0 && want == least && a.scale < len(scales)-1 && a.bytes > budget:
		a.spare = 0
		if a.low++; a.low >= patience {
			a.shift(1)
			return a.q, true
		}
	case a.scale > 0 && want >= min(roomQ, a.top):
		a.low = 0
		if a.spare++; a.spare >= comfort {
			a.shift(-1)
			return a.q, true
		}
	default:
		a.low, a.spare = 0, 0
	}
	a.q = want
	return a.q, false
}

// shift changes the size, and guesses the quality and bytes that go with it.
func (a *adapter) shift(d int) {
	was := scales[a.scale]
	a.scale += d
	now := scales[a.scale]
	a.bytes = a.bytes * now * now / (was * was)
	a.low, a.spare = 0, 0
	if d > 0 {
		a.q = min(60, a.top)
	} else {
		a.q = min(lowQuality+10, a.top)
	}
}

// sent learns from a frame that was encoded with quality q.
func (a *adapter) sent(bytes int) { a.bytes = bytes }

// pass reports whether to send the next pass-through frame of about the same size
// as the last, whose bytes cannot be changed: every second, third … when they do
// not fit. Encode says that even the lowest rate does not fit.
func (a *adapter) pass(bytes, budget int) (send, encode bool) {
	a.skip = 1
	if budget > 0 {
		a.skip = (bytes + budget - 1) / budget
	}
	if a.skip > mostSkip {
		return true, true
	}
	if a.counter++; a.counter < a.skip {
		return false, false
	}
	a.counter = 0
	return true, false
}

// qualityControls are the names under which drivers offer their own JPEG quality.
var qualityControls = []string{"compression_quality", "jpeg_compression_quality"}

// ownQuality finds the camera's own quality control.
func ownQuality(controls []capture.Control) (capture.Control, bool) {
	for _, name := range qualityControls {
		for _, c := range controls {
			if c.Name == name && c.Max > c.Min {
				return c, true
			}
		}
	}
	return capture.Control{}, false
}

// ownEvery is how often the camera's own quality is changed: drivers take their
// time, and some drop frames over it.
const ownEvery = 500 * time.Millisecond

// adapt makes the next frame fit the budget: by the quality it will be encoded
// with, and its size; of frames that come compressed from the camera, by the
// camera's own quality where it has one, else by sending only some of them, and
// when even that is not enough by encoding them anew. It reports whether to send
// the frame at all.
func (r *Runner) adapt(f *frame.Frame) bool {
	a, budget := r.fit, r.cfg.Budget()
	jpeg := r.cfg.Capture.Format == frame.JPEG
	if jpeg && (f.Format != frame.JPEG || a.reencode) {
		q, rescale := a.next(budget)
		if rescale {
			r.restage()
		}
		r.stage.SetQuality(q)
		return true
	}
	if jpeg && time.Since(r.own) >= ownEvery {
		if c, ok := ownQuality(r.State().Controls); ok {
			r.own = time.Now()
			a.own = true
			q, _ := a.next(budget)
			if _, err := r.cam.SetControl(c.Name, c.Min+(c.Max-c.Min)*int64(q)/100); err == nil {
				return true
			}
		}
		a.own = false
	}
	if a.own {
		return true
	}
	was := a.skip
	send, encode := a.pass(len(f.Data), budget)
	if encode && jpeg {
		a.reencode = true
		r.restage()
	} else if was != a.skip && time.Since(r.noted) > time.Second {
		r.noted = time.Now()
		r.publish(nil)
	}
	return send
}

// restage makes the stage anew after the adapter changed more than the quality.
func (r *Runner) restage() {
	stage, err := transform.New(r.stageConfig(r.cfg.Capture, r.cam.Info()))
	if err != nil {
		r.cfg.Log.Warn("going on at the same size", "cause", err)
		return
	}
	r.stage = stage
	r.fresh = true // State is published after the next frame
}

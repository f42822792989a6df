package measure

import (
	"sync"
	"time"

	"framepipe/frame"
)

// Shown is one frame on a viewer's screen, with all stamps on the receiver's
// clock. Zero is unknown. What the stamps are worth is said in MEASURING.md.
type Shown struct {
	Captured  frame.ReceiverTime
	Delivered frame.ReceiverTime // to the viewers' slots
	Drawn     frame.ReceiverTime // decoded and drawn
	Displayed frame.ReceiverTime // the viewer's display took it

	CapturedError  time.Duration // bound on Captured
	DisplayedError time.Duration // bound on Drawn and Displayed
}

// recentWindow is the time over which "recent" percentiles are taken: between one
// and two of them.
const recentWindow = 5 * time.Second

// Display measures what one viewer was shown, or all viewers of a camera. It is
// safe for concurrent use and allocates nothing once it was made.
type Display struct {
	mu        sync.Mutex
	shown     int64 // guarded by mu, as all below
	overtaken int64
	failed    int64
	implausib int64
	live      rate
	last      frame.ReceiverTime

	displayed, drawn, display dist // of all time
	windows                   [2]window
	history                   ring[DisplayedSecond]
}

type window struct {
	start   frame.ReceiverTime
	latency dist
	display dist
	bound   time.Duration
}

// DisplayedSecond is what was shown within one second of the receiver's clock.
type DisplayedSecond struct {
	Start     frame.ReceiverTime
	Frames    int
	Displayed Mean // captured -> displayed
	Display   Mean // delivered -> displayed
}

// NewDisplay returns a Display that was shown nothing.
func NewDisplay() *Display {
	d := &Display{displayed: newDist(2), drawn: newDist(2), display: newDist(2)}
	for i := range d.windows {
		d.windows[i] = window{latency: newDist(2), display: newDist(2)}
	}
	return d
}

// Shown books a displayed frame. Now is the receiver's.
func (d *Display) Shown(s Shown, now frame.ReceiverTime) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown++
	d.live.frame(now, 0)
	d.last = now
	w := d.window(now)
	sec := d.history.at(now, beginDisplayed, func(*DisplayedSecond) {})
	sec.Frames++
	if s.Displayed == 0 {
		return
	}
	if s.Delivered != 0 {
		v := s.Displayed.Sub(s.Delivered)
		d.display.add(v)
		w.display.add(v)
		sec.Display.add(v)
	}
	if s.Captured != 0 {
		v := s.Displayed.Sub(s.Captured)
		d.displayed.add(v)
		w.latency.add(v)
		w.bound = max(w.bound, s.CapturedError+s.DisplayedError)
		sec.Displayed.add(v)
		if s.Drawn != 0 {
			d.drawn.add(s.Drawn.Sub(s.Captured))
		}
	}
}

func beginDisplayed(s *DisplayedSecond, start frame.ReceiverTime) { s.Start = start }

// window returns the open window; the caller holds mu.
func (d *Display) window(now frame.ReceiverTime) *window {
	w := &d.windows[0]
	if w.start == 0 {
		w.start = now
	}
	if now.Sub(w.start) < recentWindow {
		return w
	}
	old := now.Sub(w.start) >= 2*recentWindow
	d.windows[0], d.windows[1] = d.windows[1], d.windows[0]
	d.windows[0].reset(now)
	if old {
		d.windows[1].reset(0)
	}
	return &d.windows[0]
}

func (w *window) reset(start frame.ReceiverTime) {
	w.start, w.bound = start, 0
	w.latency.reset()
	w.display.reset()
}

// Overtaken books a frame that a viewer received and did not show, because a
// newer one came first.
func (d *Display) Overtaken() { d.count(&d.overtaken) }

// Failed books a frame that a viewer could not decode.
func (d *Display) Failed() { d.count(&d.failed) }

// Implausible books a stamp of a viewer that cannot be: of before the frame was
// sent, or of the future.
func (d *Display) Implausible() { d.count(&d.implausib) }

func (d *Display) count(n *int64) {
	d.mu.Lock()
	*n++
	d.mu.Unlock()
}

// Displayed describes a Display for people and programs. Absent is unknown.
type Displayed struct {
	Shown       int64    `json:"shown"`
	Overtaken   int64    `json:"overtaken"` // received, not shown: a newer one came first
	Failed      int64    `json:"failed"`    // not decodable
	Implausible int64    `json:"implausible_stamps,omitempty"`
	FPS         *float64 `json:"fps,omitempty"` // shown, over the last second or so; absent in the first one

	Latency    *Quantiles `json:"latency,omitempty"`        // captured -> displayed, of the last 5 to 10 s
	ClockError *float64   `json:"clock_error_ms,omitempty"` // bound on Latency by both clocks' relations, worst of that time
	Display    *Quantiles `json:"display,omitempty"`        // delivered -> displayed, of the last 5 to 10 s

	Total        *Quantiles `json:"total_latency,omitempty"` // captured -> displayed, since the viewer came
	TotalDrawn   *Quantiles `json:"total_drawn,omitempty"`   // captured -> drawn
	TotalDisplay *Quantiles `json:"total_display,omitempty"` // delivered -> displayed
}

// State describes what was shown until now.
func (d *Display) State(now frame.ReceiverTime) Displayed {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Displayed{Shown: d.shown, Overtaken: d.overtaken, Failed: d.failed, Implausible: d.implausib,
		Total: d.displayed.quantiles(), TotalDrawn: d.drawn.quantiles(), TotalDisplay: d.display.quantiles()}
	switch fps := d.live.fps; {
	case d.last != 0 && now.Sub(d.last) > 2*time.Second:
		s.FPS = new(float64)
	case fps > 0:
		s.FPS = &fps
	}
	d.window(now)
	sum := window{latency: newDist(2), display: newDist(2)}
	for i := range d.windows {
		w := &d.windows[i]
		sum.latency.merge(&w.latency)
		sum.display.merge(&w.display)
		sum.bound = max(sum.bound, w.bound)
	}
	s.Latency, s.Display = sum.latency.quantiles(), sum.display.quantiles()
	if s.Latency != nil {
		e := millis(sum.bound)
		s.ClockError = &e
	}
	return s
}

// History lists the last complete seconds, oldest first, at most HistoryLength.
func (d *Display) History(now frame.ReceiverTime) []DisplayedSecond {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shown == 0 {
		return nil
	}
	d.history.at(now, beginDisplayed, func(*DisplayedSecond) {})
	return d.history.list()
}

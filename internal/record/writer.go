package record

import (
	"fmt"
	"time"

	"framepipe/frame"
)

// writer is what the writing goroutine knows.
type writer struct {
	r        *Recording
	m        *movie // nil between files
	w, h     int    // of the pictures in m
	began    frame.ReceiverTime
	clock    timeline
	bytes    int64     // in files that are finished
	failed   time.Time // when the last write did; zero while all is well
	said     time.Time
	saidLost uint64
}

// write empties the queue into files until there will be no more.
func (r *Recording) write() error {
	w := &writer{r: r}
	for {
		e := r.next()
		if e == nil {
			break
		}
		n := len(e.f.Data)
		w.entry(e)
		e.f.Release()
		r.mu.Lock()
		r.waiting -= n
		r.mu.Unlock()
		w.say()
	}
	return w.close()
}

// entry writes one frame, or counts why not.
func (w *writer) entry(e *entry) {
	if !w.failed.IsZero() && time.Since(w.failed) < retryEvery {
		w.lost(nil)
		return
	}
	err := w.try(e)
	if err != nil {
		w.failed = time.Now()
		w.lost(err)
		return
	}
	r := w.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if !w.failed.IsZero() {
		w.failed = time.Time{}
		r.opt.Log.Info("recording goes on", "camera", r.feed.Name(), "file", r.st.File)
	}
	r.st.Error = ""
	r.st.Frames++
	r.st.Bytes = w.bytes + w.m.end
}

func (w *writer) try(e *entry) error {
	o := &w.r.opt
	if m := w.m; m != nil && (e.w != w.w || e.h != w.h ||
		o.MaxSize > 0 && m.frames > 0 && m.end+int64(len(e.f.Data)) > o.MaxSize ||
		o.MaxTime > 0 && e.arrived.Sub(w.began) >= o.MaxTime) {
		if err := w.close(); err != nil {
			// The frames are there; what lacks is the index.
			o.Log.Warn("recording's index is not written", "camera", w.r.feed.Name(), "cause", err)
		}
	}
	if w.m == nil {
		if err := w.begin(e); err != nil {
			return err
		}
	}
	// A frame that could not be written takes no time of a timelapse.
	clock := w.clock
	at := clock.at(e, o.Every > 0)
	if err := w.m.frame(e.f.Data, at, &e.s); err != nil {
		return err
	}
	w.clock = clock
	return nil
}

func (w *writer) begin(e *entry) error {
	r := w.r
	f, name, err := r.opt.open(r.opt.Path)
	if err != nil {
		return err
	}
	st := r.feed.Status()
	every := ""
	if r.opt.Every > 0 {
		every = r.opt.Every.String()
	}
	m, err := begin(f, r.feed.Name(), e.w, e.h, time.Unix(0, e.s.Wall), r.opt.Software,
		"CAMERA", r.feed.Name(), "HOST", st.Host, "SENDER", st.Software, "WIRE", st.Wire, "SOURCE_FORMAT", e.s.Source.Word(),
		"STAMP_KIND", e.s.Kind.String(), "TIMELAPSE_EVERY", every)
	if err != nil {
		f.Truncate(0)
		f.Close()
		removeEmpty(name)
		return err
	}
	w.m, w.w, w.h, w.began, w.clock = m, e.w, e.h, e.arrived, timeline{}
	r.mu.Lock()
	r.st.File, r.st.Files = name, r.st.Files+1
	r.mu.Unlock()
	r.opt.Log.Info("recording to " + name)
	return nil
}

func (w *writer) close() error {
	if w.m == nil {
		return nil
	}
	err := w.m.finish()
	w.bytes += w.m.end
	w.m = nil
	w.r.mu.Lock()
	w.r.st.Bytes = w.bytes
	w.r.mu.Unlock()
	return err
}

// lost counts a frame that cannot be written for err, or, without one, for what
// went wrong before.
func (w *writer) lost(err error) {
	r := w.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		text := err.Error()
		if diskFull(err) {
			text = "the disk is full"
		}
		if r.st.Error != text {
			r.opt.Log.Error("cannot record; the live view goes on, and this is tried again", "camera", r.feed.Name(), "cause", text)
		}
		r.st.Error = text
	}
	if r.st.Error == "the disk is full" {
		r.st.Lost.Full++
	} else {
		r.st.Lost.Error++
	}
}

// say tells of a disk that is too slow, now and then.
func (w *writer) say() {
	if time.Since(w.said) < sayEvery {
		return
	}
	r := w.r
	r.mu.Lock()
	slow := r.st.Lost.Slow
	r.mu.Unlock()
	if slow > w.saidLost {
		r.opt.Log.Warn(fmt.Sprintf("the disk is too slow to record %s: %d frames lost so far; the live view goes on", r.feed.Name(), slow))
		w.said, w.saidLost = time.Now(), slow
	}
}

// timeline gives frames their times in a file: the camera's own where it stamps,
// else those of arrival. Where the camera's clock jumps, or is another one (it was
// started anew), time goes on as on the receiver's.
type timeline struct {
	frames   int
	captured frame.SenderTime   // of the last frame
	arrived  frame.ReceiverTime // of the last frame
	anchor   frame.SenderTime   // the camera's time at which the file's time is anchored's
	anchored time.Duration
	last     time.Duration
}

const jump = 2 * time.Second

func (t *timeline) at(e *entry, lapse bool) time.Duration {
	c := e.s.Captured
	gap := e.arrived.Sub(t.arrived)
	first := t.frames == 0
	var at time.Duration
	switch {
	case first:
		t.anchor = c
	case lapse:
		at = time.Duration(t.frames) * lapseFrame
	case c != 0 && t.captured != 0 && c > t.captured && (c.Sub(t.captured)-gap).Abs() < jump:
		at = t.anchored + c.Sub(t.anchor)
	default:
		at = t.last + gap
		t.anchor, t.anchored = c, at
	}
	// Players want times that grow, and microseconds are what there is.
	if at = at.Round(timescale); !first && at <= t.last {
		at = t.last + timescale
	}
	t.frames++
	t.captured, t.arrived, t.last = c, e.arrived, at
	return at
}

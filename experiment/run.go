// Package experiment carries out a plan on a camera that stays connected: it asks
// the camera for each cell's settings over the wire's control messages, lets it
// settle, measures the records with a meter of its own, and puts them into a
// result folder. What a plan is, is in package plan; the folder in package result;
// what the figures mean in package stats; the report in package report.
//
// A run can end at any moment. What was finished is in the folder, and Run goes
// on with the first record that is missing.
package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"framepipe/capture"
	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/experiment/stats"
	"framepipe/frame"
	"framepipe/internal/doctor"
	"framepipe/stream"
	"framepipe/wire"
)

// Camera is what an experiment needs of one; *stream.Feed is one.
type Camera interface {
	Name() string
	Control(ctx context.Context, set wire.Settings) (wire.StateText, error)
	Status() stream.Status
	SetTap(stream.Tap)
}

// Times that a run keeps.
const (
	controlTimeout = 20 * time.Second // a camera that is opened anew warms up before it answers
	firstTimeout   = 15 * time.Second // from the answer to the first frame that is as asked
	silence        = 20 * time.Second // without a frame a visit is given up
	watchEvery     = 50 * time.Millisecond
	showEach       = 10 // of these: a record's percentiles cost a millisecond
	maxAttempts    = 4  // at one visit, within one run
)

// Config is what Run needs.
type Config struct {
	Folder *result.Folder
	// Camera waits until the camera is connected and returns it.
	Camera func(context.Context) (Camera, error)
	// Late tells how late an emulated link was since the last call; nil without one.
	Late     func() time.Duration
	Progress func(Progress) // nil = nobody is told
	Log      *slog.Logger
}

// ErrUnfinished says that a run ended before its plan did. It can be resumed.
var ErrUnfinished = errors.New("the experiment is not finished")

// RefusedError says that a camera cannot do what a cell asks for.
type RefusedError struct{ Cell, Why, Hint string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the camera cannot do cell %s: %s", e.Cell, e.Why)
}

// errBroken is wrapped by what makes a visit be made again.
var errBroken = errors.New("visit broken off")

type run struct {
	Config
	plan  *plan.Plan
	cells []plan.Cell
	order []plan.Visit
	began time.Time
	spent time.Duration // by earlier runs
	over  time.Duration // mean time of a visit beyond its records
	made  int           // visits that over is the mean of
}

// Run carries out what is still to be done. It returns nil when the plan is done
// or its stop rule ended it, ErrUnfinished when ctx ended or a visit could not be
// made, *RefusedError before anything is measured, and else what failed.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	p := cfg.Folder.Plan
	r := &run{Config: cfg, plan: p, cells: p.Cells(), order: p.Order(), began: time.Now()}
	r.spent = spent(cfg.Folder.Visits)
	r.over = p.Warmup + p.Pause + 300*time.Millisecond
	if len(cfg.Folder.Visits) == 0 {
		if err := r.probe(ctx); err != nil {
			if ctx.Err() != nil {
				return ErrUnfinished
			}
			return err
		}
	}
	gaveUp := 0
	for i, v := range r.order {
		done, last := r.state(v)
		if done >= p.Records {
			continue
		}
		if i%len(r.cells) == 0 {
			if why := r.stop(v.Repeat - 1); why != "" {
				r.Log.Info("stopping early: " + why)
				return cfg.Folder.AddVisit(result.Visit{Time: time.Now(), Event: result.Ended, Cause: why})
			}
		}
		err := r.visit(ctx, i, done, last)
		switch {
		case ctx.Err() != nil:
			return errors.Join(err, ErrUnfinished)
		case errors.Is(err, errBroken):
			gaveUp++
		case err != nil:
			return err
		}
	}
	if gaveUp > 0 {
		return fmt.Errorf("%w: %d visits could not be made", ErrUnfinished, gaveUp)
	}
	return nil
}

// spent adds up the time that earlier runs measured.
func spent(visits []result.Visit) (sum time.Duration) {
	var begun time.Time
	for _, v := range visits {
		if v.Event == result.Begun {
			begun = v.Time
		} else if !begun.IsZero() {
			sum += v.Time.Sub(begun)
			begun = time.Time{}
		}
	}
	return sum
}

// state tells how many records of a visit are there and its last attempt.
func (r *run) state(v plan.Visit) (done, attempt int) {
	for _, row := range r.Folder.Valid() {
		if row.Cell == r.cells[v.Cell].ID && row.Repeat == v.Repeat {
			done++
		}
	}
	for _, x := range r.Folder.Visits {
		if x.Cell == r.cells[v.Cell].ID && x.Repeat == v.Repeat {
			attempt = max(attempt, x.Attempt)
		}
	}
	return done, attempt
}

// probe asks for every cell once, so that what a camera cannot do is known before
// an hour was measured.
func (r *run) probe(ctx context.Context) error {
	cam, err := r.Camera(ctx)
	if err != nil {
		return err
	}
	for i := range r.cells {
		c := &r.cells[i]
		set, err := c.Wire()
		if err != nil {
			return err
		}
		st, err := control(ctx, cam, set)
		if err != nil {
			return fmt.Errorf("trying cell %s: %w", c.ID, err)
		}
		if st.Error != "" {
			return &RefusedError{c.ID, st.Error, st.Hint}
		}
	}
	return nil
}

func control(ctx context.Context, cam Camera, set wire.Settings) (wire.StateText, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	return cam.Control(ctx, set)
}

// stop tells whether the stop rule holds after so many complete repeats.
func (r *run) stop(repeats int) string {
	s := &r.plan.Stop
	if repeats == 0 {
		return ""
	}
	if t := r.spent + time.Since(r.began); s.After > 0 && t >= s.After {
		return fmt.Sprintf("%v of measuring are over after %d repeats", s.After, repeats)
	}
	if s.Precision == 0 || repeats < max(s.MinRepeats, 3) {
		return ""
	}
	worst := 0.0
	for _, c := range r.cells {
		sample := stats.Sample{}
		for _, row := range r.Folder.Valid() {
			if row.Cell == c.ID {
				sample.Add(row.Repeat, row.FPS)
			}
		}
		e := sample.Mean(r.plan.UnitOf(repeats), r.plan.Seed)
		worst = max(worst, (e.Hi-e.Lo)/2/math.Max(e.Value, 1e-9))
	}
	if worst <= s.Precision {
		return fmt.Sprintf("every cell's frame rate is known to within ±%.2g %% after %d repeats", 100*worst, repeats)
	}
	return ""
}

// visit makes one visit, again when it is broken off.
func (r *run) visit(ctx context.Context, index, done, attempt int) error {
	v := r.order[index]
	c := &r.cells[v.Cell]
	for try := 1; ; try++ {
		attempt++
		err := r.attempt(ctx, index, done, attempt)
		if !errors.Is(err, errBroken) {
			return err
		}
		event := result.Broken
		if try == maxAttempts {
			event = result.GaveUp
		}
		if e := r.Folder.AddVisit(result.Visit{Time: time.Now(), Event: event, Cell: c.ID, Repeat: v.Repeat, Attempt: attempt, Cause: err.Error()}); e != nil {
			return e
		}
		if event == result.GaveUp {
			r.Log.Error("giving up a visit", "cell", c.ID, "repeat", v.Repeat, "cause", err)
			return err
		}
		r.Log.Warn("the visit is made again", "cell", c.ID, "repeat", v.Repeat, "cause", err)
		done, _ = r.state(v)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// attempt measures the missing records of a visit.
func (r *run) attempt(ctx context.Context, index, done, attempt int) (err error) {
	v := r.order[index]
	c := &r.cells[v.Cell]
	started := time.Now()
	r.Progress(r.progress(index, done, nil))
	cam, err := r.Camera(ctx)
	if err != nil {
		return err
	}
	before := cam.Status()
	set, err := c.Wire()
	if err != nil {
		return err
	}
	st, err := control(ctx, cam, set)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	here := doctor.Read(ctx, doctor.Options{})
	begun := result.Visit{Time: time.Now(), Event: result.Begun, Cell: c.ID, Repeat: v.Repeat, Attempt: attempt, Asked: &set, Got: &st, Here: &here, Differs: differs(set, st)}
	if err := r.Folder.AddVisit(begun); err != nil {
		return err
	}
	if st.Error != "" {
		return fmt.Errorf("%w: the camera answered: %s", errBroken, st.Error)
	}
	for _, d := range begun.Differs {
		r.Log.Warn("the camera does it otherwise", "cell", c.ID, "cause", d)
	}
	if r.Late != nil {
		r.Late()
	}
	defer cam.SetTap(nil)
	if err := r.settle(ctx, cam, st); err != nil {
		return err
	}
	if err := r.records(ctx, cam, index, done, attempt, before); err != nil {
		if ctx.Err() != nil {
			return r.Folder.AddVisit(result.Visit{Time: time.Now(), Event: result.Paused, Cell: c.ID, Repeat: v.Repeat, Attempt: attempt})
		}
		return err
	}
	end := result.Visit{Event: result.Done, Cell: c.ID, Repeat: v.Repeat, Attempt: attempt}
	if st, err := control(ctx, cam, wire.Settings{}); err == nil {
		end.Got = &wire.StateText{Congestion: st.Congestion, Gate: st.Gate, Codec: st.Codec, Machine: st.Machine}
	}
	here = doctor.Read(ctx, doctor.Options{})
	end.Here, end.Time = &here, time.Now()
	if s := cam.Status(); s.Clock != nil {
		end.Clock = &s.Clock.ErrorMs
	}
	if r.Late != nil {
		ms := float64(r.Late()) / 1e6
		end.Late = &ms
	}
	if err := r.Folder.AddVisit(end); err != nil {
		return err
	}
	extra := time.Since(started) - time.Duration(r.plan.Records-done)*r.plan.Length
	r.over = (r.over*time.Duration(r.made) + max(0, extra)) / time.Duration(r.made+1)
	r.made++
	r.finished(index)
	select {
	case <-time.After(r.plan.Pause):
	case <-ctx.Done():
	}
	return nil
}

// settle waits for the first frame that is as the camera said, and then for the
// warm-up time.
func (r *run) settle(ctx context.Context, cam Camera, st wire.StateText) error {
	first := newFirstFrame(func(f *frame.Meta) bool {
		return f.Format.Word() == st.Format && (f.Width == 0 || st.Width == 0 || f.Width == st.Width && f.Height == st.Height)
	})
	cam.SetTap(first)
	select {
	case <-first.came:
	case <-time.After(firstTimeout):
		return fmt.Errorf("%w: no %s frame of %dx%d came within %v", errBroken, st.Format, st.Width, st.Height, firstTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-time.After(r.plan.Warmup):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// records measures until the visit has all of them.
func (r *run) records(ctx context.Context, cam Camera, index, done, attempt int, before stream.Status) error {
	v := r.order[index]
	missing := r.plan.Records - done
	tap, err := newVisitTap(cam.Name(), r.plan.Length, missing)
	if err != nil {
		return err
	}
	cam.SetTap(tap)
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	watched := 0
	for n := 0; n < missing; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-tap.closed:
			n++
			row := result.Row{Cell: r.cells[v.Cell].ID, Repeat: v.Repeat, Attempt: attempt, Began: c.began, Record: *c.record}
			row.Number = done + n
			if err := r.Folder.Append(row, c.frames); err != nil {
				return err
			}
			r.Progress(r.progress(index, done+n, nil))
		case <-watch.C:
			silent, err := tap.tick()
			if err != nil {
				return err
			}
			s := cam.Status()
			switch {
			case !s.Connected || s.Breaks != before.Breaks:
				return fmt.Errorf("%w: the camera disconnected (%s)", errBroken, s.Cause)
			case s.Session != before.Session:
				return fmt.Errorf("%w: the camera's program was started anew", errBroken)
			case s.Camera.Error != "":
				return fmt.Errorf("%w: %s", errBroken, s.Camera.Error)
			case silent > max(silence, 2*r.plan.Length):
				return fmt.Errorf("%w: no frame came for %v", errBroken, silent.Round(time.Second))
			}
			if watched++; watched%showEach == 0 {
				live := tap.live()
				r.Progress(r.progress(index, done+n, &live))
			}
		}
	}
	return nil
}

// differs lists what a camera does otherwise than it was asked.
func differs(set wire.Settings, st wire.StateText) []string {
	var list []string
	note := func(name string, asked, got any) {
		list = append(list, fmt.Sprintf("%s %v was asked for, %v is what it does", name, asked, got))
	}
	word := func(name string, asked *string, got string) {
		if asked != nil && *asked != got && got != "" {
			note(name, *asked, got)
		}
	}
	if set.Mode != nil {
		if m, err := capture.ParseMode(*set.Mode); err == nil && m.String() != st.Mode {
			note("mode", m, st.Mode)
		}
	}
	if set.Port != nil {
		if p, err := capture.ParsePort(*set.Port); err == nil && p.String() != st.Port {
			note("port", p, st.Port)
		}
	}
	if set.Format != nil {
		if f, err := frame.ParseFormat(*set.Format); err == nil && f.Word() != st.Format {
			note("format", f.Word(), st.Format)
		}
	}
	word("policy", set.Policy, st.Policy)
	if set.Congestion != nil && *set.Congestion != "system" {
		word("congestion control", set.Congestion, st.Congestion)
	}
	if set.Width != nil && *set.Width != st.Width || set.Height != nil && *set.Height != st.Height {
		w, h := 0, 0
		if set.Width != nil {
			w = *set.Width
		}
		if set.Height != nil {
			h = *set.Height
		}
		note("size", fmt.Sprintf("%dx%d", w, h), fmt.Sprintf("%dx%d", st.Width, st.Height))
	}
	if f := set.FPS; f != nil && *f > 0 && math.Abs(*f-st.FPS) > 0.01**f {
		note("frame rate", *f, st.FPS)
	}
	if set.Quality != nil && st.Quality != 0 && *set.Quality != st.Quality {
		note("quality", *set.Quality, st.Quality)
	}
	var have []capture.Control
	if len(set.Controls) > 0 && json.Unmarshal(st.Controls, &have) == nil {
		for _, c := range have {
			if want, ok := set.Controls[c.Name]; ok && want != c.Value {
				note("control "+c.Name, want, c.Value)
			}
		}
	}
	return list
}

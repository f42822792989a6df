package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"framepipe/capture"
	"framepipe/experiment"
	"framepipe/experiment/plan"
	"framepipe/experiment/report"
	"framepipe/experiment/result"
	"framepipe/internal/doctor"
	"framepipe/stream"
	"framepipe/wire"
)

// keptMessages bounds an experiment's log in memory; older messages are forgotten.
const keptMessages = 200

// run is one experiment of this life of the program.
type run struct {
	m      *Manager
	id     string
	camera string
	cancel context.CancelFunc
	over   chan struct{} // closed when everything is written
	folder *result.Folder

	mu   sync.Mutex
	st   Status // guarded by mu; what Status returns
	feed string // guarded by mu; the name under which the camera was last found
}

// on is the feed that is being measured: a camera that came back may have a number
// behind its name.
func (r *run) on() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.feed
}

func newRun(m *Manager, id, camera string, folder *result.Folder, cancel context.CancelFunc) *run {
	r := &run{m: m, id: id, camera: camera, folder: folder, cancel: cancel, over: make(chan struct{})}
	r.st = Status{ID: id, Camera: camera, Created: time.Now(), State: Running, Folder: true}
	if t := folder.Manifest.Created; !t.IsZero() {
		r.st.Created = t
	}
	r.st.describe(&folder.Data)
	return r
}

// Status tells how it stands, with messages that are newer than after.
func (r *run) Status(after int) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.st
	st.Messages = nil
	for _, m := range r.st.Messages {
		if m.Number > after {
			st.Messages = append(st.Messages, m)
		}
	}
	return st
}

// say puts a message into the experiment's log.
func (r *run) say(m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.Last++
	m.Number, m.Time = r.st.Last, time.Now()
	if len(r.st.Messages) >= keptMessages {
		r.st.Messages = append(r.st.Messages[:0:0], r.st.Messages[1:]...)
	}
	r.st.Messages = append(r.st.Messages, m)
}

// carryOut runs the experiment to its end, makes the report, and gives the camera
// the settings back that it had.
func (r *run) carryOut(ctx context.Context) {
	defer close(r.over)
	defer r.cancel()
	log := slog.New(&messages{run: r})
	r.m.Log.Info("experiment begins", "experiment", r.id, "camera", r.camera)
	p := r.folder.Plan
	log.Info(fmt.Sprintf("%d settings, %d visits, about %v", len(p.Cells()), len(p.Order()), p.Time().Round(time.Second)))
	before := r.settingsNow(ctx)
	marked := ""
	err := experiment.Run(ctx, experiment.Config{Folder: r.folder, Camera: r.find, Log: log, Progress: func(p experiment.Progress) {
		if r.m.Marked != nil && p.Live == nil && !p.Finished {
			if at := fmt.Sprint(p.Visit); at != marked {
				marked = at
				if f := Find(r.m.Feeds(), r.camera); f != nil {
					r.m.Marked(f, "experiment: "+p.Cell)
				}
			}
		}
		if p.Finished {
			log.Info(p.Line())
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.st.Progress = progressOf(&p)
		if len(r.folder.Rows) != r.st.Records || p.Finished {
			r.st.describe(&r.folder.Data)
		}
	}})
	r.restore(before)
	if r.folder.Manifest.Format != 0 {
		r.mu.Lock()
		r.st.Created = r.folder.Manifest.Created
		r.mu.Unlock()
	}
	r.finish(ctx, err)
	st := r.Status(0)
	r.m.Log.Info("experiment "+st.State, "experiment", r.id, "records", fmt.Sprintf("%d of %d", st.Records, st.Planned), "cause", st.Cause)
}

// find waits until the camera is connected, and writes the manifest when it is
// there for the first time.
func (r *run) find(ctx context.Context) (experiment.Camera, error) {
	for {
		if f := Find(r.m.Feeds(), r.camera); f != nil {
			r.mu.Lock()
			r.feed = f.Name()
			r.mu.Unlock()
			if r.folder.Manifest.Format != 0 {
				return f, nil
			}
			s := f.Status()
			return f, r.folder.SetManifest(result.Manifest{Software: r.m.Software, ID: r.id, Created: time.Now().UTC(), Name: r.camera, Host: s.Host, CameraSoft: s.Software,
				Camera: s.Camera.Camera, CameraSide: s.Camera.Machine, ReceiverSide: doctor.Read(ctx, doctor.Options{})})
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// finish makes the report of what was measured and says how the experiment ended.
func (r *run) finish(ctx context.Context, err error) {
	state, cause, hint := Done, "", ""
	refused, isRefused := errors.AsType[*experiment.RefusedError](err)
	switch {
	case err == nil:
	case isRefused:
		state, cause, hint = Failed, refused.Error(), refused.Hint
	case errors.Is(err, experiment.ErrUnfinished) && ctx.Err() != nil:
		state = Stopped
	default:
		state, cause = Failed, err.Error()
	}
	kept := !r.folder.Discard()
	var a *report.Analysis
	if kept {
		if e := r.folder.Close(); e != nil && cause == "" {
			state, cause = Failed, e.Error()
		}
		made, e := report.Make(r.folder.Dir)
		if e != nil && cause == "" {
			state, cause = Failed, "report: "+e.Error()
		}
		a = made
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.describe(&r.folder.Data)
	r.st.State, r.st.Cause, r.st.Hint, r.st.Refused, r.st.Folder, r.st.Progress = state, cause, hint, isRefused, kept, nil
	if a != nil {
		r.st.conclude(a)
	}
}

const restoreTimeout = 20 * time.Second

// settingsNow asks the camera for what it does now; nil if it does not answer.
func (r *run) settingsNow(ctx context.Context) *wire.StateText {
	f := Find(r.m.Feeds(), r.camera)
	if f == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
	defer cancel()
	st, err := f.Control(ctx, wire.Settings{})
	if err != nil || st.Error != "" {
		return nil
	}
	return &st
}

// restore gives the camera back what it had before, as far as the plan touched it.
func (r *run) restore(before *wire.StateText) {
	f := Find(r.m.Feeds(), r.camera)
	if f == nil || before == nil {
		return
	}
	set := restoring(r.folder.Plan, before)
	if set.Empty() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.m.Context), restoreTimeout)
	defer cancel()
	st, err := f.Control(ctx, set)
	switch {
	case errors.Is(err, stream.ErrNotConnected):
	case err != nil:
		r.m.Log.Warn("the camera keeps the experiment's last settings", "camera", r.camera, "cause", err)
	case st.Error != "":
		r.m.Log.Warn("the camera keeps the experiment's last settings", "camera", r.camera, "cause", st.Error)
	case r.m.Marked != nil:
		r.m.Marked(f, "experiment over")
	}
}

// messages is a slog.Handler that keeps what it is told for who follows the
// experiment.
type messages struct{ run *run }

func (h *messages) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h *messages) Handle(_ context.Context, rec slog.Record) error {
	m := Message{Level: rec.Level.String(), Text: rec.Message}
	rec.Attrs(func(a slog.Attr) bool {
		m.Attrs = append(m.Attrs, [2]string{a.Key, a.Value.Resolve().String()})
		return true
	})
	h.run.say(m)
	return nil
}

func (h *messages) WithAttrs([]slog.Attr) slog.Handler { return h } // package experiment uses neither
func (h *messages) WithGroup(string) slog.Handler      { return h }

// restoring is what puts a camera back into state st, of what a plan changes.
func restoring(p *plan.Plan, st *wire.StateText) wire.Settings {
	touched := make(map[string]bool)
	for _, s := range p.Fixed {
		touched[s.Name] = true
	}
	for _, f := range p.Factors {
		touched[f.Name] = true
	}
	var set wire.Settings
	word := func(name, was string) *string {
		if !touched[name] || was == "" {
			return nil
		}
		return &was
	}
	set.Mode, set.Port, set.Format = word("mode", st.Mode), word("port", st.Port), word("format", st.Format)
	set.Policy, set.Congestion = word("policy", st.Policy), word("congestion", st.Congestion)
	if (touched["size"] || touched["width"] || touched["height"]) && st.Width > 0 && st.Height > 0 {
		set.Width, set.Height = &st.Width, &st.Height
	}
	if touched["fps"] && st.FPS > 0 {
		set.FPS = &st.FPS
	}
	if touched["quality"] && st.Quality > 0 {
		set.Quality = &st.Quality
	}
	var controls []capture.Control
	if json.Unmarshal(st.Controls, &controls) != nil {
		return set
	}
	for _, c := range controls {
		if touched["control."+c.Name] {
			if set.Controls == nil {
				set.Controls = make(map[string]int64)
			}
			set.Controls[c.Name] = c.Value
		}
	}
	return set
}

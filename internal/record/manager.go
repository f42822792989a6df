package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"framepipe/stream"
)

// Manager keeps the recordings of all cameras, at most one each.
type Manager struct {
	Dir     string  // where recordings go that are asked for without a path; "" = none may be
	Options Options // of all of them, but for Path

	mu  sync.Mutex
	all map[*stream.Feed]*Recording // guarded by mu; the newest of each camera
}

// ErrNoDir says that nobody may start recordings over HTTP.
var ErrNoDir = errors.New("no folder is given for recordings: start the receiver with --record-dir")

// Start begins a recording of f in the manager's folder, which it makes; every > 0
// is a timelapse. While there is one already, that goes on.
func (m *Manager) Start(f *stream.Feed, every time.Duration) (Status, error) {
	if m.Dir == "" {
		return Status{}, ErrNoDir
	}
	if err := os.MkdirAll(m.Dir, 0o777); err != nil {
		return Status{}, fmt.Errorf("recording: %w", err)
	}
	o := m.Options
	if every > 0 {
		o.Every = every
	}
	o.Path = filepath.Join(m.Dir, f.Name()+"-"+time.Now().Format("20060102-150405")+".mkv")
	return m.start(f, o)
}

// StartAt begins a recording in the file that path names.
func (m *Manager) StartAt(f *stream.Feed, path string) (Status, error) {
	o := m.Options
	o.Path = path
	return m.start(f, o)
}

func (m *Manager) start(f *stream.Feed, o Options) (Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.all[f]; r != nil {
		if st := r.Status(); st.Recording {
			return st, nil
		}
	}
	r, err := Start(f, o)
	if err != nil {
		return Status{}, err
	}
	if m.all == nil {
		m.all = make(map[*stream.Feed]*Recording)
	}
	m.all[f] = r
	return r.Status(), nil
}

// Stop ends f's recording, if there is one, and tells how it went.
func (m *Manager) Stop(ctx context.Context, f *stream.Feed) (Status, error) {
	m.mu.Lock()
	r := m.all[f]
	m.mu.Unlock()
	if r == nil {
		return Status{}, nil
	}
	return r.Stop(ctx)
}

// Status is how f's newest recording goes or went; nil if it had none.
func (m *Manager) Status(f *stream.Feed) *Status {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	r := m.all[f]
	m.mu.Unlock()
	if r == nil {
		return nil
	}
	st := r.Status()
	return &st
}

// StopAll ends all recordings and tells how they went.
func (m *Manager) StopAll(ctx context.Context) error {
	m.mu.Lock()
	all := maps.Clone(m.all)
	m.mu.Unlock()
	var errs []error
	for _, r := range all {
		errs = append(errs, r.end(ctx))
	}
	return errors.Join(errs...)
}

// Forget ends f's recording, tells how it went, and keeps nothing of it.
func (m *Manager) Forget(ctx context.Context, f *stream.Feed) error {
	m.mu.Lock()
	r := m.all[f]
	delete(m.all, f)
	m.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.end(ctx)
}

// end is Stop, and tells how it went.
func (r *Recording) end(ctx context.Context) error {
	running := r.Status().Recording
	st, err := r.Stop(ctx)
	if !running {
		return err
	}
	text := fmt.Sprintf("%s: %d frames recorded", r.feed.Name(), st.Frames)
	if n := st.Lost.Total(); n > 0 {
		text += fmt.Sprintf(", %d lost to the recording (%s)", n, st.Lost.text())
	}
	if st.File != "" {
		text += " in " + st.File
	}
	r.opt.Log.Info(text)
	return err
}

func (l *Losses) text() string {
	var parts []string
	for _, c := range []struct {
		n    uint64
		text string
	}{{l.Busy, "recorder busy"}, {l.Slow, "disk slow"}, {l.Full, "disk full"}, {l.Error, "disk error"}, {l.Bad, "not a picture"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", c.text, c.n))
		}
	}
	return strings.Join(parts, ", ")
}

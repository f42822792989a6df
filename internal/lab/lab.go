// Package lab carries out experiments inside a running receiver, on cameras that
// are connected to it and go on being watched: at most one for each camera, each in
// a folder of its own under one directory. What an experiment is, measures and
// concludes is in package experiment and those below it; this package starts,
// stops and resumes them, and tells how they go.
//
// Each experiment is one goroutine, started by Start or Resume and awaited by Wait.
// It is off the frame path: what touches frames is the tap that package experiment
// sets.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/stream"
)

// Manager keeps the experiments of a receiver. Its fields are set before its first
// use.
type Manager struct {
	Dir      string          // where result folders are made; "" = none may be
	Software string          // for the manifest
	Context  context.Context // when it ends, all experiments stop; what was measured is kept
	Feeds    func() []*stream.Feed
	Log      *slog.Logger
	Marked   func(f *stream.Feed, what string) // told when an experiment changes a camera's settings; may be nil

	mu  sync.Mutex
	all map[string]*run    // guarded by mu; of this life of the program, by ID
	old map[string]*folder // guarded by mu; of earlier ones, as they were last read
	wg  sync.WaitGroup

	ended bool // guarded by mu
}

// ErrEnding says that the program is about to end.
var ErrEnding = errors.New("the receiver is ending")

// What keeps an experiment from starting.
var (
	ErrNoDir   = errors.New("no folder is given for experiments: start the receiver with --experiments")
	ErrBusy    = errors.New("an experiment is being carried out on this camera already")
	ErrUnknown = errors.New("no such experiment; /experiments lists them")
	ErrDone    = errors.New("the experiment is finished; there is nothing to go on with")
)

// Find looks for a camera among those that are connected; name "" is the first one.
// A camera that was started anew before its old connection was found dead is told
// apart by a number behind its name; it is found too.
func Find(feeds []*stream.Feed, name string) *stream.Feed {
	var numbered *stream.Feed
	safe := stream.SafeName(name)
	for _, f := range feeds {
		if !f.Status().Connected {
			continue
		}
		if name == "" || f.Name() == safe {
			return f
		}
		if rest, ok := strings.CutPrefix(f.Name(), safe+"-"); ok {
			if _, err := strconv.Atoi(rest); err == nil {
				numbered = f
			}
		}
	}
	return numbered
}

// Fit says why a plan cannot be carried out here, beyond what Check says. It takes
// the source out of the plan: the camera is one that connects.
func Fit(p *plan.Plan) error {
	if p.Link != "" {
		return &plan.Error{Msg: fmt.Sprintf("this experiment simulates its link (%s), which is within one machine: framepipe experiment run --local carries it out", p.Link)}
	}
	p.Source = ""
	return p.Check()
}

// Start begins an experiment on f, whose plan Fit has passed.
func (m *Manager) Start(f *stream.Feed, p *plan.Plan) (Status, error) {
	switch s := f.Status(); {
	case m == nil || m.Dir == "":
		return Status{}, ErrNoDir
	case s.Wire == "v0":
		return Status{}, &plan.Error{File: f.Name(), Msg: "a v0 camera takes no settings: the format has no way back"}
	case !s.Connected:
		return Status{}, stream.ErrNotConnected
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return Status{}, ErrEnding
	}
	if id := m.running(f.Name()); id != "" {
		return Status{}, fmt.Errorf("%w: %s", ErrBusy, id)
	}
	id, err := m.newID(p.Name, f.Name())
	if err != nil {
		return Status{}, err
	}
	folder, err := result.Create(filepath.Join(m.Dir, id), p)
	if err != nil {
		return Status{}, err
	}
	return m.begin(id, f.Name(), folder), nil
}

// Resume goes on with an experiment that was stopped.
func (m *Manager) Resume(id string) (Status, error) {
	if m == nil || m.Dir == "" {
		return Status{}, ErrNoDir
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st, ok := m.status(id)
	switch {
	case m.ended:
		return Status{}, ErrEnding
	case !ok || !m.hasFolder(id):
		return Status{}, ErrUnknown
	case st.State == Running:
		return st, nil
	case st.State == Done:
		return st, ErrDone
	case st.Camera == "":
		return st, &plan.Error{File: id, Msg: "nothing was measured, and for which camera it was is not known: start it anew"}
	}
	if id := m.running(st.Camera); id != "" {
		return Status{}, fmt.Errorf("%w: %s", ErrBusy, id)
	}
	folder, err := result.Open(filepath.Join(m.Dir, id))
	if err != nil {
		return Status{}, err
	}
	if err := Fit(folder.Plan); err != nil {
		folder.Close()
		return Status{}, err
	}
	return m.begin(id, st.Camera, folder), nil
}

// begin runs a folder's experiment; the caller holds m.mu.
func (m *Manager) begin(id, camera string, folder *result.Folder) Status {
	ctx, cancel := context.WithCancel(m.Context)
	r := newRun(m, id, camera, folder, cancel)
	if m.all == nil {
		m.all = make(map[string]*run)
	}
	m.all[id] = r
	m.wg.Go(func() { r.carryOut(ctx) })
	return r.Status(0)
}

// Wait waits for all experiments. It is for the end of the program, when Context
// has ended.
func (m *Manager) Wait() {
	m.mu.Lock()
	m.ended = true // whoever was just starting one has done so, and nobody can any more
	m.mu.Unlock()
	m.wg.Wait()
}

// Stop ends an experiment, waits until its report is there, and tells how it stands.
func (m *Manager) Stop(ctx context.Context, id string) (Status, error) {
	if m == nil {
		return Status{}, ErrUnknown
	}
	m.mu.Lock()
	r := m.all[id]
	m.mu.Unlock()
	if r == nil {
		return m.Status(id, 0)
	}
	r.cancel()
	select {
	case <-r.over:
		return r.Status(0), nil
	case <-ctx.Done():
		return r.Status(0), ctx.Err()
	}
}

// running is the ID of the camera's experiment, "" if there is none now; the caller
// holds m.mu.
func (m *Manager) running(camera string) string {
	for id, r := range m.all {
		if r.camera == camera && r.Status(0).State == Running {
			return id
		}
	}
	return ""
}

// On tells of the experiment that is being carried out on a camera, nil if none is.
func (m *Manager) On(camera string) *Status {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.all {
		if st := r.Status(0); st.State == Running && (r.camera == camera || r.on() == camera) {
			return &st
		}
	}
	return nil
}

// Status tells how an experiment stands, with the messages that are newer than
// after.
func (m *Manager) Status(id string, after int) (Status, error) {
	if m == nil {
		return Status{}, ErrUnknown
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.all[id]; r != nil {
		return r.Status(after), nil
	}
	st, ok := m.status(id)
	if !ok {
		return Status{}, ErrUnknown
	}
	return st, nil
}

func (m *Manager) status(id string) (Status, bool) {
	if r := m.all[id]; r != nil {
		return r.Status(0), true
	}
	return m.stored(id)
}

// List tells of all experiments, the newest first. Messages are left out.
func (m *Manager) List() []Status {
	list := []Status{}
	if m == nil {
		return list
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.all {
		st := r.Status(0)
		st.Messages = nil
		list = append(list, st)
	}
	entries, _ := os.ReadDir(m.Dir) // none yet
	for _, e := range entries {
		if m.all[e.Name()] != nil || !e.IsDir() {
			continue
		}
		if st, ok := m.stored(e.Name()); ok {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID)) })
	return list
}

// newID makes a folder's name that says when, what and where; the caller holds m.mu.
func (m *Manager) newID(name, camera string) (string, error) {
	base := time.Now().Format("20060102-150405") + "-" + stream.SafeName(cmp.Or(name, "plan")) + "-" + camera
	for i := 1; i < 100; i++ {
		id := base
		if i > 1 {
			id += "-" + strconv.Itoa(i)
		}
		_, err := os.Lstat(filepath.Join(m.Dir, id))
		if m.all[id] == nil && errors.Is(err, fs.ErrNotExist) {
			return id, nil
		}
	}
	return "", fmt.Errorf("there are too many experiments called %s", base)
}

// Root opens an experiment's folder for reading; nothing outside of it can be
// reached through it.
func (m *Manager) Root(id string) (*os.Root, error) {
	if m == nil || !m.hasFolder(id) {
		return nil, ErrUnknown
	}
	dir, err := os.OpenRoot(m.Dir)
	if err != nil {
		return nil, ErrUnknown
	}
	defer dir.Close()
	root, err := dir.OpenRoot(id)
	if err != nil {
		return nil, ErrUnknown
	}
	return root, nil
}

// hasFolder reports whether id is a result folder of ours. IDs come from addresses.
func (m *Manager) hasFolder(id string) bool {
	if m.Dir == "" || !validID(id) {
		return false
	}
	if st, err := os.Lstat(filepath.Join(m.Dir, id)); err != nil || !st.IsDir() {
		return false // a link may lead anywhere
	}
	st, err := os.Lstat(filepath.Join(m.Dir, id, result.PlanFile))
	return err == nil && st.Mode().IsRegular()
}

// validID reports whether id is made as newID makes them.
func validID(id string) bool {
	const most = 200
	return id != "" && len(id) <= most && id[0] != '.' && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}

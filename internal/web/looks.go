package web

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/internal/record"
	"framepipe/measure"
	"framepipe/stream"
	"framepipe/wire"
)

// maxViewers bounds the WebSocket viewers of one camera.
const maxViewers = 256

// maxMarks is how many changes of settings are remembered.
const maxMarks = 100

// looks is who looks at one camera, and what all of them were shown.
type looks struct {
	display *measure.Display

	mu        sync.Mutex
	viewers   map[uint64]*wsViewer // guarded by mu
	marks     []mark               // guarded by mu; oldest first
	forgotten int                  // guarded by mu; marks that were dropped for newer ones
}

// mark is a change of settings, for charts.
type mark struct {
	at   frame.ReceiverTime
	text string
}

// looks finds or makes the entry of a camera, and forgets cameras that are gone.
func (s *Server) looks(f *stream.Feed) *looks {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.looking[f]
	if l == nil {
		known := s.cfg.Cameras.Feeds()
		maps.DeleteFunc(s.looking, func(f *stream.Feed, _ *looks) bool { return !slices.Contains(known, f) })
		l = &looks{display: measure.NewDisplay(), viewers: make(map[uint64]*wsViewer)}
		s.looking[f] = l
	}
	return l
}

// enter adds a viewer, if there is room.
func (l *looks) enter(v *wsViewer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.viewers) >= maxViewers {
		return false
	}
	l.viewers[v.id] = v
	return true
}

func (l *looks) leave(v *wsViewer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, v.id)
}

func (l *looks) mark(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.marks) == maxMarks {
		l.marks = append(l.marks[:0], l.marks[1:]...)
		l.forgotten++
	}
	l.marks = append(l.marks, mark{frame.ReceiverNow(), text})
}

// states lists the viewers in order of their coming; only that one if it is not 0.
func (l *looks) states(now frame.ReceiverTime, only uint64) []ViewerState {
	l.mu.Lock()
	viewers := slices.SortedFunc(maps.Values(l.viewers), func(a, b *wsViewer) int { return cmp.Compare(a.id, b.id) })
	l.mu.Unlock()
	out := make([]ViewerState, 0, len(viewers))
	for _, v := range viewers {
		if only != 0 && v.id != only {
			continue
		}
		out = append(out, v.state(now))
	}
	return out
}

// State is a feed's status with what its viewers were shown.
type State struct {
	stream.Status
	Displayed *measure.Displayed `json:"displayed,omitempty"` // by all viewers of the page together; absent when there was none
	Displays  []ViewerState      `json:"displays"`            // viewers of the page, now
	Recording *record.Status     `json:"recording,omitempty"` // the newest one; absent when there was none
	OK        bool               `json:"ok"`                  // true, as ustreamer says it
	Result    *ustreamer         `json:"result"`              // what ustreamer's clients read
}

// ViewerState is one viewer of the page. Absent is unknown.
type ViewerState struct {
	ID      uint64    `json:"id"`
	Remote  string    `json:"remote"`
	Since   time.Time `json:"since"`
	Looking bool      `json:"looking"` // false: its tab is hidden, or its picture frozen
	Sent    uint64    `json:"sent"`
	Dropped uint64    `json:"dropped"` // not sent: a newer frame came before this viewer was ready
	measure.Displayed
	Clock *stream.ClockStatus `json:"clock,omitempty"` // the viewer's, against the receiver's
}

func (s *Server) status(f *stream.Feed, only uint64) State {
	l, now := s.looks(f), frame.ReceiverNow()
	st := State{Status: f.Status(), Displays: l.states(now, only), Recording: s.cfg.Recorder.Status(f), OK: true}
	st.Result = ustreamerState(&st.Status, s.clients(f, st.Displays))
	if d := l.display.State(now); d.Shown+d.Overtaken+d.Failed > 0 {
		st.Displayed = &d
	}
	return st
}

// settingsText says what a change asked for, for charts.
func settingsText(set *wire.Settings) string {
	b, err := json.Marshal(set)
	if err != nil {
		return "settings"
	}
	text := strings.NewReplacer(`"controls":`, "", `"`, "", "{", "", "}", "", ":", " ", ",", ", ").Replace(string(b))
	return text[:min(len(text), 120)]
}

// history is the last minutes as columns, one row a second. Null is unknown.
type history struct {
	Now         float64               `json:"now"`          // Unix seconds, as t
	Second      []int64               `json:"s"`            // the second's number, for ?after=
	Time        []float64             `json:"t"`            // where each second begins
	FPS         []int                 `json:"fps"`          // delivered
	Shown       []*int                `json:"shown"`        // by all viewers of the page together, or with ?viewer=ID by that one
	Size        []*float64            `json:"bytes"`        // mean of a frame
	Stages      map[string][]*float64 `json:"stages_ms"`    // means; "display" is delivered to displayed
	Total       []*float64            `json:"displayed_ms"` // captured to displayed, mean
	Lost        map[string][]int64    `json:"lost"`         // by cause
	Marks       []historyMark         `json:"marks"`        // changes of settings
	MarksBefore int                   `json:"marks_before"` // changes that are not listed any more
}

type historyMark struct {
	Time float64 `json:"t"`
	Text string  `json:"text"`
}

func secondOf(t frame.ReceiverTime) int64 { return int64(t) / int64(time.Second) }

func secondsOf(d *measure.Display, now frame.ReceiverTime) map[frame.ReceiverTime]measure.DisplayedSecond {
	m := make(map[frame.ReceiverTime]measure.DisplayedSecond)
	for _, s := range d.History(now) {
		m[s.Start] = s
	}
	return m
}

func known(m measure.Mean) *float64 {
	if v, ok := m.Millis(); ok {
		return &v
	}
	return nil
}

func (s *Server) history(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	l, now := s.looks(f), frame.ReceiverNow()
	wall := time.Now()
	unix := func(t frame.ReceiverTime) float64 { return float64(wall.Add(-now.Sub(t)).UnixMilli()) / 1e3 }
	seconds := f.Meter.History(now)
	if a := r.URL.Query().Get("after"); a != "" {
		after, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			fail(w, http.StatusBadRequest, "after="+printable(a)+": write the number of a second, as s has it")
			return
		}
		// Of the future is the number of another life of this machine: all is new then.
		if n := len(seconds); n > 0 && after <= secondOf(seconds[n-1].Start) {
			seconds = slices.DeleteFunc(seconds, func(s measure.Second) bool { return secondOf(s.Start) <= after })
		}
	}
	id, ok := viewerOf(w, r)
	if !ok {
		return
	}
	shown, mine := secondsOf(l.display, now), map[frame.ReceiverTime]measure.DisplayedSecond(nil)
	if id != 0 {
		l.mu.Lock()
		v := l.viewers[id]
		l.mu.Unlock()
		if v != nil {
			mine = secondsOf(v.display, now)
		}
	}
	h := history{Now: unix(now), Second: []int64{}, Time: []float64{}, FPS: []int{}, Shown: []*int{}, Size: []*float64{}, Total: []*float64{},
		Stages: make(map[string][]*float64), Lost: make(map[string][]int64), Marks: []historyMark{}}
	for st := range measure.StageTotal {
		h.Stages[st.String()] = []*float64{}
	}
	h.Stages["display"] = []*float64{}
	for i, sec := range seconds {
		h.Second = append(h.Second, secondOf(sec.Start))
		h.Time = append(h.Time, unix(sec.Start))
		h.FPS = append(h.FPS, sec.Frames)
		var size *float64
		if sec.Frames > 0 {
			v := float64(sec.Bytes) / float64(sec.Frames)
			size = &v
		}
		h.Size = append(h.Size, size)
		for st := range measure.StageTotal {
			h.Stages[st.String()] = append(h.Stages[st.String()], known(sec.Stages[st]))
		}
		d, ok := shown[sec.Start]
		if id != 0 {
			var m measure.DisplayedSecond
			if m, ok = mine[sec.Start]; ok {
				d = m
			}
		}
		var n *int
		if ok {
			n = &d.Frames
		}
		h.Shown = append(h.Shown, n)
		h.Stages["display"] = append(h.Stages["display"], known(d.Display))
		h.Total = append(h.Total, known(d.Displayed))
		for c, v := range sec.Lost {
			if v != 0 && h.Lost[frame.Cause(c).String()] == nil {
				h.Lost[frame.Cause(c).String()] = make([]int64, len(seconds))
			}
			if v != 0 {
				h.Lost[frame.Cause(c).String()][i] = v
			}
		}
	}
	l.mu.Lock()
	h.MarksBefore = l.forgotten
	for _, m := range l.marks {
		h.Marks = append(h.Marks, historyMark{unix(m.at), m.text})
	}
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h) // a client that left does not care
}

package lab

import (
	"os"
	"path/filepath"
	"time"

	"framepipe/experiment"
	"framepipe/experiment/plan"
	"framepipe/experiment/report"
	"framepipe/experiment/result"
)

// States of an experiment.
const (
	Running = "running"
	Done    = "done"    // the plan is carried out, or its stop rule ended it
	Stopped = "stopped" // by somebody or with the program; it can be resumed
	Failed  = "failed"  // see Cause; what was measured is kept and can be resumed
)

// Status describes an experiment for people and programs. The folder holds
// everything else.
type Status struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // the plan's
	What    string    `json:"description,omitempty"`
	Camera  string    `json:"camera"`
	Created time.Time `json:"created"`
	State   string    `json:"state"`
	Cause   string    `json:"cause,omitempty"` // why it failed
	Hint    string    `json:"hint,omitempty"`  // what to do about it
	Refused bool      `json:"refused,omitempty"`

	Records int    `json:"records"` // that are there and count
	Planned int    `json:"planned"` // all of them
	Repeats int    `json:"repeats"` // visits to each cell
	Cells   []Cell `json:"cells"`
	Folder  bool   `json:"folder"` // there is one: something was measured, or will be
	Report  bool   `json:"report"` // report.html is there

	Progress *Progress `json:"progress,omitempty"` // while it runs
	Findings []string  `json:"findings,omitempty"` // the conclusion, once there is a report
	Best     string    `json:"best,omitempty"`
	Command  string    `json:"command,omitempty"` // to use the best setting
	Warnings []string  `json:"warnings,omitempty"`

	Messages []Message `json:"messages,omitempty"` // newer than asked for
	Last     int       `json:"last_message"`       // number of the newest message
}

// Cell is what one setting has given so far. Figures are means of its records.
type Cell struct {
	ID      string   `json:"id"`
	Text    string   `json:"text"`
	Visits  int      `json:"visits"`  // that are complete
	Records int      `json:"records"` // that count
	FPS     float64  `json:"fps"`
	Bytes   float64  `json:"mean_frame_bytes"`
	Latency *float64 `json:"latency_p50_ms,omitempty"` // unknown without stamps
}

// Progress says where a running experiment is.
type Progress struct {
	Visit    int      `json:"visit"` // the present one, of Visits
	Visits   int      `json:"visits"`
	Cell     string   `json:"cell"`
	Repeat   int      `json:"repeat"`
	Record   int      `json:"record"` // the present one, of Records
	Records  int      `json:"records"`
	Left     float64  `json:"left_s"`
	Settling bool     `json:"settling"` // the camera is changing over; nothing is measured yet
	FPS      float64  `json:"fps"`      // over the last second
	Latency  *float64 `json:"latency_p50_ms,omitempty"`
	Lost     uint64   `json:"lost"`
	Line     string   `json:"line"` // all of it, as the command line shows it
}

// Message is a line of an experiment's log.
type Message struct {
	Number int         `json:"n"` // from 1
	Time   time.Time   `json:"time"`
	Level  string      `json:"level"` // INFO, WARN, ERROR
	Text   string      `json:"text"`
	Attrs  [][2]string `json:"attrs,omitempty"`
}

// Outline is what a plan amounts to.
type Outline struct {
	Name    string   `json:"name"`
	What    string   `json:"description,omitempty"`
	Cells   []string `json:"cells"`
	Visits  int      `json:"visits"`
	Records int      `json:"records"`
	Length  float64  `json:"record_length_s"`
	Repeats int      `json:"repeats"`
	Seconds float64  `json:"seconds"` // about so long
}

// OutlineOf tells what a plan amounts to.
func OutlineOf(p *plan.Plan) Outline {
	o := Outline{Name: p.Name, What: p.Description, Cells: []string{}, Visits: len(p.Order()), Records: p.Records, Length: p.Length.Seconds(), Repeats: p.Repeats, Seconds: p.Time().Seconds()}
	for _, c := range p.Cells() {
		o.Cells = append(o.Cells, p.Text(&c))
	}
	return o
}

// describe fills in what a folder's plan and rows say.
func (st *Status) describe(d *result.Data) {
	p := d.Plan
	st.Name, st.What, st.Repeats, st.Planned = p.Name, p.Description, p.Repeats, len(p.Order())*p.Records
	valid := d.Valid()
	st.Records = len(valid)
	st.Cells = make([]Cell, 0, len(p.Cells()))
	for _, c := range p.Cells() {
		x := Cell{ID: c.ID, Text: p.Text(&c)}
		inVisit := make(map[int]int)
		latency, known := 0.0, 0
		for _, r := range valid {
			if r.Cell != c.ID {
				continue
			}
			x.Records++
			x.FPS += r.FPS
			x.Bytes += r.MeanSize
			if r.Latency != nil {
				latency += r.Latency.P50
				known++
			}
			if inVisit[r.Repeat]++; inVisit[r.Repeat] == p.Records {
				x.Visits++
			}
		}
		if x.Records > 0 {
			x.FPS /= float64(x.Records)
			x.Bytes /= float64(x.Records)
		}
		if known > 0 {
			latency /= float64(known)
			x.Latency = &latency
		}
		st.Cells = append(st.Cells, x)
	}
}

// conclude fills in what the report says.
func (st *Status) conclude(a *report.Analysis) {
	st.Report, st.Findings, st.Command, st.Warnings = true, a.Findings, a.Command, a.Warnings
	if a.Best >= 0 {
		st.Best = a.Cells[a.Best].Text
	}
}

func progressOf(p *experiment.Progress) *Progress {
	x := &Progress{Visit: p.Visit, Visits: p.Visits, Cell: p.Cell, Repeat: p.Repeat, Record: p.Record, Records: p.Records, Left: p.Left.Seconds(), Settling: p.Live == nil, Line: p.Line()}
	if p.Live != nil {
		x.FPS, x.Lost = p.Live.FPS, p.Live.Offered-p.Live.Delivered
		if p.Live.Record != nil && p.Live.Record.Latency != nil {
			ms := p.Live.Record.Latency.P50
			x.Latency = &ms
		}
	}
	return x
}

// folder is a result folder of an earlier life of the program.
type folder struct {
	size     int64 // of records.csv and visits.jsonl
	modified time.Time
	st       Status
}

// stored reads a result folder, or remembers it; the caller holds m.mu.
func (m *Manager) stored(id string) (Status, bool) {
	if !m.hasFolder(id) {
		return Status{}, false
	}
	dir := filepath.Join(m.Dir, id)
	now := folder{}
	for _, name := range []string{result.RecordsFile, result.VisitsFile, result.ManifestFile, "report.html"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err == nil {
			now.size += fi.Size()
			if fi.ModTime().After(now.modified) {
				now.modified = fi.ModTime()
			}
		}
	}
	if was := m.old[id]; was != nil && was.size == now.size && was.modified.Equal(now.modified) {
		return was.st, true
	}
	d, err := result.Read(dir)
	if err != nil {
		now.st = Status{ID: id, Name: id, Created: now.modified, State: Failed, Cause: err.Error(), Folder: true, Cells: []Cell{}}
	} else {
		now.st = Status{ID: id, Camera: d.Manifest.Name, Created: d.Manifest.Created, State: Stopped, Folder: true}
		now.st.describe(d)
		ended := len(d.Visits) > 0 && d.Visits[len(d.Visits)-1].Event == result.Ended
		if ended || now.st.Records >= now.st.Planned {
			now.st.State = Done
		}
		if now.st.Created.IsZero() {
			now.st.Created = now.modified
		}
		if _, err := os.Stat(filepath.Join(dir, "report.html")); err == nil && now.st.Records > 0 {
			now.st.Report = true
			if a, err := report.Analyse(d); err == nil {
				now.st.conclude(a)
			}
		}
	}
	if m.old == nil {
		m.old = make(map[string]*folder)
	}
	m.old[id] = &now
	return now.st, true
}

package experiment

import (
	"fmt"
	"time"

	"framepipe/measure"
)

// Progress describes a run for people.
type Progress struct {
	Visit, Visits int // the present one, of all
	Cell          string
	Repeat        int
	Record        int // the present one, of Records
	Records       int
	Left          time.Duration
	Live          *measure.Live // nil while the camera settles
	Finished      bool          // the visit is complete
	FPS           float64       // of a finished visit, mean of its records
}

// Line is the progress in one line.
func (p *Progress) Line() string {
	left := p.Left.Round(time.Second)
	at := fmt.Sprintf("[%d/%d] %s, repeat %d", p.Visit, p.Visits, p.Cell, p.Repeat)
	if p.Finished {
		return fmt.Sprintf("%s: %.1f fps; %v left", at, p.FPS, left)
	}
	text := fmt.Sprintf("%v left  %s, record %d of %d", left, at, p.Record, p.Records)
	switch {
	case p.Live == nil:
		text += ": settling"
	case p.Live.Record != nil:
		text += fmt.Sprintf(": %.1f fps", p.Live.FPS)
		if q := p.Live.Record.Latency; q != nil {
			text += fmt.Sprintf(", latency p50 %.1f ms", q.P50)
		}
		text += fmt.Sprintf(", lost %d", p.Live.Offered-p.Live.Delivered)
	}
	return text
}

func (r *run) finished(index int) {
	p := r.progress(index, r.plan.Records, nil)
	p.Finished = true
	n := 0.0
	for _, row := range r.Folder.Valid() {
		if row.Cell == p.Cell && row.Repeat == p.Repeat {
			p.FPS += row.FPS
			n++
		}
	}
	p.FPS /= max(n, 1)
	r.Progress(p)
}

func (r *run) progress(index, records int, live *measure.Live) Progress {
	v := r.order[index]
	p := Progress{Visit: index + 1, Visits: len(r.order), Cell: r.cells[v.Cell].ID, Repeat: v.Repeat,
		Record: min(records+1, r.plan.Records), Records: r.plan.Records, Live: live}
	p.Left = time.Duration(r.plan.Records-records)*r.plan.Length +
		time.Duration(len(r.order)-index-1)*(time.Duration(r.plan.Records)*r.plan.Length+r.over)
	if live != nil && live.Record != nil {
		p.Left -= time.Duration(live.Record.Elapsed * float64(time.Second))
	} else if records < r.plan.Records {
		p.Left += r.over
	}
	p.Left = max(0, p.Left)
	return p
}

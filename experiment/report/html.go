package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/experiment/stats"
	"framepipe/internal/doctor"
)

// view is what the page shows, in words.
type view struct {
	Title, Subtitle string
	Findings        []string
	Best            string
	Command         string
	Rule            string
	Warnings        []string
	Tiles           []tile
	Figures         []viewFigure
	Head            []string // of the table of cells
	Cells           []viewCell
	Notes           []string
	Factors         []viewFactor
	Method          []string
	Manifest        []viewRow
	Visits          []viewVisit
	Plan            string
}

type tile struct{ Value, Unit, Label string }

type viewFigure struct {
	Name, Caption, Text string
	SVG                 string
}

type viewCell struct {
	Name   string
	Best   bool
	Marks  []int
	Values []string
	N      string
}

type viewFactor struct {
	Title string
	Rows  []viewContrast
}

type viewContrast struct {
	Metric, A, B, Given, Difference, Interval, Relative, P, Effect, Verdict string
	Differs                                                                 bool
	Warnings                                                                string
}

type viewRow struct{ Name, Camera, Receiver string }

type viewVisit struct{ Time, Cell, Repeat, Event, Text string }

// html is the page as a whole.
func (a *Analysis) html(figures []figure) ([]byte, error) {
	d := a.Data
	v := view{Title: d.Plan.Name, Subtitle: d.Plan.Description, Findings: a.Findings, Warnings: a.Warnings, Command: a.Command}
	if v.Title == "" {
		v.Title = "experiment"
	}
	if a.Best >= 0 {
		v.Best = a.Cells[a.Best].Text
		v.Rule = fmt.Sprintf("Best: of the settings whose mean frame rate is within %.0f %% of the highest, the one whose newest frame is least old (99 %%, median of the records).", 100*near)
	}
	v.Tiles = a.tiles()
	for _, f := range figures {
		v.Figures = append(v.Figures, viewFigure{f.name, f.caption, f.text, string(f.inline())})
	}
	a.cellTable(&v)
	a.contrastTables(&v)
	v.Method = a.method()
	v.Manifest = a.manifest()
	v.Visits = a.visits()
	text, err := d.Plan.YAML()
	if err != nil {
		return nil, err
	}
	v.Plan = string(text)
	var b bytes.Buffer
	err = v.write(&b)
	return b.Bytes(), err
}

func (a *Analysis) tiles() []tile {
	records, frames, seconds := 0, int64(0), 0.0
	for _, c := range a.Cells {
		records += len(c.Rows)
		seconds += c.Elapsed
		for _, r := range c.Rows {
			frames += r.Frames
		}
	}
	tiles := []tile{
		{num(float64(len(a.Cells))), "", "settings"},
		{fmt.Sprint(records), "", fmt.Sprintf("records of %v", a.Data.Plan.Length)},
		{num(float64(frames)), "", "frames measured"},
		{num(seconds / 60), "min", "of measuring"},
	}
	tiles[0].Value = fmt.Sprint(len(a.Cells))
	return tiles
}

// cellTable shows each setting's figures, with marks for the notes below.
func (a *Analysis) cellTable(v *view) {
	var shown []int
	for k := range metrics {
		for _, c := range a.Cells {
			if c.Means[k].N > 0 {
				shown = append(shown, k)
				v.Head = append(v.Head, metrics[k].name+", "+metrics[k].unit)
				break
			}
		}
	}
	marks := map[string]int{}
	for i, c := range a.Cells {
		row := viewCell{Name: c.Text, Best: i == a.Best, N: fmt.Sprintf("%d in %d visits", len(c.Rows), c.Visits)}
		for _, n := range c.Notes {
			if marks[n] == 0 {
				v.Notes = append(v.Notes, n)
				marks[n] = len(v.Notes)
			}
			row.Marks = append(row.Marks, marks[n])
		}
		for _, k := range shown {
			row.Values = append(row.Values, meanMedian(c.Means[k], c.Medians[k]))
		}
		v.Cells = append(v.Cells, row)
	}
}

// meanMedian is "mean lo–hi | median lo–hi", for two lines of a table's cell.
func meanMedian(mean, median stats.Estimate) string {
	if mean.N == 0 {
		return "unknown"
	}
	text := func(e stats.Estimate) string {
		if math.IsNaN(e.Lo) {
			return num(e.Value)
		}
		return fmt.Sprintf("%s [%s–%s]", num(e.Value), num(e.Lo), num(e.Hi))
	}
	return text(mean) + "\nmedian " + text(median)
}

func (a *Analysis) contrastTables(v *view) {
	for _, f := range a.Data.Plan.Factors {
		t := viewFactor{Title: f.Name}
		for i := range a.Contrasts {
			x := &a.Contrasts[i]
			if x.Factor != f.Name || x.NA == 0 || x.NB == 0 {
				continue
			}
			r := viewContrast{Metric: x.Metric.name, A: x.LA, B: x.LB, Given: x.Given, Differs: x.Differs(),
				Difference: signed(x.Difference.Value) + " " + x.Metric.unit, P: pText(x.Corrected), Effect: effect(x.Effect), Warnings: strings.Join(x.Warnings, "; ")}
			if !math.IsNaN(x.Difference.Lo) {
				r.Interval = signed(x.Difference.Lo) + " to " + signed(x.Difference.Hi)
			}
			if !math.IsNaN(x.Relative.Value) {
				r.Relative = signed(100*x.Relative.Value) + " %"
			}
			r.Verdict = "no difference found"
			if x.Seems() {
				r.Verdict = "seems to differ; too few observations"
			}
			t.Rows = append(t.Rows, r)
		}
		if len(t.Rows) > 0 {
			v.Factors = append(v.Factors, t)
		}
	}
}

func pText(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// effect puts Cliff's delta into words (Romano and others, 2006).
func effect(d float64) string {
	word := "negligible"
	switch abs := math.Abs(d); {
	case abs >= 0.474:
		word = "large"
	case abs >= 0.33:
		word = "medium"
	case abs >= 0.147:
		word = "small"
	}
	return fmt.Sprintf("%+.2f (%s)", d, word)
}

func (a *Analysis) method() []string {
	p := a.Data.Plan
	unit := "The observation is the visit: the mean of the records that were measured in one go. Frames, and records of one visit, share what drifts, and are not counted as independent."
	if a.Unit == plan.UnitRecord {
		unit = "The observation is the record, never the single frame."
	}
	list := []string{
		fmt.Sprintf("Each of %d repeats visited every setting once, in an order drawn anew from seed %d; a visit is %d records of %v, after %v of settling that begins with the first frame that has the new settings.", p.Repeats, p.Seed, p.Records, p.Length, p.Warmup),
		unit,
		"Intervals are bootstrap percentile intervals at 95 % (2000 resamples, visits first, from the plan's seed). Settings are compared by the Mann-Whitney U test with Cliff's delta as effect size. The p-values of all comparisons of frame rate, median latency and age (99 %) are corrected together after Holm; those of the other figures by themselves. A difference is called one when the corrected p is below 0.02 and its interval leaves out zero.",
		"Not finding a difference is not proof that there is none: the interval says how large it may be.",
	}
	if a.Data.Manifest.Link != "" {
		list = append(list, "The link was simulated on the receiver's machine: "+a.Data.Manifest.Link+" in both directions.")
	}
	if a.Data.Manifest.Local {
		list = append(list, "Camera and receiver ran in one process on one machine.")
	}
	var info struct {
		Simulated map[string]string `json:"simulated"`
	}
	if json.Unmarshal(a.Data.Manifest.Camera, &info) == nil && len(info.Simulated) > 0 {
		list = append(list, "The camera is synthetic; what stands for physics is declared: "+joined(info.Simulated)+".")
	}
	return list
}

func (a *Analysis) manifest() []viewRow {
	m := a.Data.Manifest
	cam, _ := reading(m.CameraSide)
	rows := []viewRow{{"program", m.CameraSoft, m.Software}, {"camera", m.Name, ""}, {"host", m.Host, ""}}
	rows = append(rows, readingRows(cam, m.ReceiverSide)...)
	var info struct {
		Name, Driver, Source string
		StampKind            string `json:"stamp_kind"`
	}
	if json.Unmarshal(m.Camera, &info) == nil {
		rows = append(rows, viewRow{"device", info.Name, ""}, viewRow{"driver", info.Driver, ""}, viewRow{"source", info.Source, ""}, viewRow{"stamped at", info.StampKind, ""})
	}
	codecs, congestion := map[string]bool{}, map[string]bool{}
	hottest := [2]float64{math.Inf(-1), math.Inf(-1)}
	clock := math.Inf(-1)
	for _, v := range a.Data.Visits {
		if v.Got != nil {
			codecs[v.Got.Codec], congestion[v.Got.Congestion] = true, true
			if r, ok := reading(v.Got.Machine); ok && r.Temperature != nil {
				hottest[0] = max(hottest[0], *r.Temperature)
			}
		}
		if v.Here != nil && v.Here.Temperature != nil {
			hottest[1] = max(hottest[1], *v.Here.Temperature)
		}
		if v.Clock != nil {
			clock = max(clock, *v.Clock)
		}
	}
	rows = append(rows, viewRow{"conversion", keys(codecs), ""}, viewRow{"congestion control", keys(congestion), ""})
	if !math.IsInf(hottest[0], 0) || !math.IsInf(hottest[1], 0) {
		rows = append(rows, viewRow{"hottest, °C", num(hottest[0]), num(hottest[1])})
	}
	if !math.IsInf(clock, 0) {
		rows = append(rows, viewRow{"clocks' relation", "", "±" + num(clock) + " ms at worst"})
	}
	if !m.Created.IsZero() {
		rows = append(rows, viewRow{"begun", "", m.Created.UTC().Format(time.RFC3339)})
	}
	var kept []viewRow
	for _, r := range rows {
		if r.Camera != "" || r.Receiver != "" {
			kept = append(kept, r)
		}
	}
	return kept
}

func readingRows(cam, here doctor.Reading) []viewRow {
	pair := func(name string, f func(doctor.Reading) string) viewRow { return viewRow{name, f(cam), f(here)} }
	return []viewRow{
		pair("machine", func(r doctor.Reading) string { return r.Model }),
		pair("processor", func(r doctor.Reading) string {
			if r.CPUs == 0 {
				return ""
			}
			return strings.TrimSpace(fmt.Sprintf("%d × %s", r.CPUs, r.CPU))
		}),
		pair("system", func(r doctor.Reading) string { return strings.TrimSpace(r.OS + " " + r.Kernel) }),
		pair("Go", func(r doctor.Reading) string { return r.Go }),
		pair("CPU governor", func(r doctor.Reading) string { return r.Governor }),
		pair("throttling flags", func(r doctor.Reading) string {
			if r.Throttled == nil {
				return ""
			}
			return *r.Throttled
		}),
		pair("Wi-Fi", func(r doctor.Reading) string {
			var parts []string
			for _, w := range r.WiFi {
				s := w.Name
				if w.Signal != nil {
					s += fmt.Sprintf(" %d dBm", *w.Signal)
				}
				if w.Rate != nil {
					s += fmt.Sprintf(" %g Mbit/s", *w.Rate)
				}
				parts = append(parts, s)
			}
			return strings.Join(parts, ", ")
		}),
	}
}

// visits lists what was out of the ordinary.
func (a *Analysis) visits() []viewVisit {
	var list []viewVisit
	for _, v := range a.Data.Visits {
		text := strings.TrimPrefix(v.Cause, "visit broken off: ")
		switch v.Event {
		case result.Begun, result.Done:
			continue
		}
		repeat := ""
		if v.Repeat > 0 {
			repeat = fmt.Sprint(v.Repeat)
		}
		list = append(list, viewVisit{v.Time.UTC().Format("2006-01-02 15:04:05"), v.Cell, repeat, v.Event, text})
	}
	return list
}

package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/experiment/stats"
	"framepipe/frame"
	"framepipe/internal/doctor"
	"framepipe/internal/netem"
)

// Analysis is what an experiment says.
type Analysis struct {
	Data      *result.Data
	Unit      plan.Unit // of analysis
	Cells     []Cell
	Contrasts []Contrast // of head metrics first; each metric's in the order of the plan
	Best      int        // index into Cells; -1 = nothing was measured
	Findings  []string   // the conclusion in plain words
	Command   string     // what to type to use the best setting
	Warnings  []string   // about the whole experiment
	Complete  bool       // everything that the plan asks for was measured
	Stopped   string     // why the stop rule ended it
	family    int        // comparisons that are corrected together
}

// Cell is what was measured with one setting.
type Cell struct {
	plan.Cell
	Text     string
	Rows     []result.Row // those that count
	Means    []stats.Estimate
	Medians  []stats.Estimate // both in the order of metrics
	Visits   int
	Lost     [frame.NumCauses]uint64
	Offered  uint64
	Notes    []string // warnings that belong beside this cell's figures
	Frames   []result.Frame
	Elapsed  float64 // seconds, of all records
	Codec    string
	Clock    float64 // worst bound, ms; NaN = unknown
	Repeated int     // visits that were made again
}

// Contrast compares two cells that differ in one factor.
type Contrast struct {
	Metric *metric
	Factor string
	A, B   int    // cells
	Given  string // the levels of the other factors, if these vary
	LA, LB string // levels
	stats.Comparison
}

// seedOf gives every figure of every cell chance of its own.
func seedOf(p *plan.Plan, cell, metric int) uint64 {
	return p.Seed*1_000_003 + uint64(cell)*101 + uint64(metric) + 1
}

// Analyse works an experiment out.
func Analyse(d *result.Data) (*Analysis, error) {
	a := &Analysis{Data: d, Best: -1}
	valid := inOrder(d.Valid())
	repeats := 0
	cells := d.Plan.Cells()
	a.Complete = len(valid) > 0
	for i := range cells {
		c := Cell{Cell: cells[i], Text: d.Plan.Text(&cells[i])}
		visits := map[int]int{}
		for _, r := range valid {
			if r.Cell == c.ID {
				c.Rows = append(c.Rows, r)
				visits[r.Repeat]++
			}
		}
		c.Visits = len(visits)
		repeats = max(repeats, c.Visits)
		a.Complete = a.Complete && len(c.Rows) == d.Plan.Records*d.Plan.Repeats
		a.Cells = append(a.Cells, c)
	}
	for _, v := range d.Visits {
		if v.Event == result.Ended {
			a.Stopped = v.Cause
		}
	}
	a.Unit = d.Plan.UnitOf(repeats)
	if repeats < 2 {
		a.Unit = plan.UnitRecord
	}
	for i := range a.Cells {
		if err := a.describe(i); err != nil {
			return nil, err
		}
	}
	a.compare()
	a.choose()
	a.warn()
	a.conclude()
	return a, nil
}

func (a *Analysis) describe(i int) error {
	c := &a.Cells[i]
	for k := range metrics {
		s := metrics[k].sample(c.Rows, c.ID)
		c.Means = append(c.Means, s.Mean(a.Unit, seedOf(a.Data.Plan, i, k)))
		c.Medians = append(c.Medians, s.Median(a.Unit, seedOf(a.Data.Plan, i, k)))
	}
	c.Clock = math.NaN()
	imbalance := int64(0)
	for _, r := range c.Rows {
		c.Offered += r.Offered
		c.Elapsed += r.Elapsed
		imbalance += r.Imbalance
		for k := range c.Lost {
			c.Lost[k] += r.Lost[frame.Cause(k).String()]
		}
		if r.ClockError != nil && !(*r.ClockError <= c.Clock) {
			c.Clock = *r.ClockError
		}
	}
	for repeat := 1; repeat <= a.Data.Plan.Repeats; repeat++ {
		records, err := a.Data.Frames(c.ID, repeat)
		if err != nil {
			return err
		}
		k := 0
		for _, r := range a.Data.Rows {
			if r.Cell != c.ID || r.Repeat != repeat || r.LogEnd == 0 || k >= len(records) {
				continue
			}
			if slices.ContainsFunc(c.Rows, func(v result.Row) bool { return v.Repeat == repeat && v.Number == r.Number && v.Attempt == r.Attempt }) {
				c.Frames = append(c.Frames, records[k]...)
			}
			k++
		}
	}
	n := c.Means[0].N
	switch {
	case n == 0:
		c.Notes = append(c.Notes, "not measured")
		return nil
	case n < 6:
		c.Notes = append(c.Notes, fmt.Sprintf("only %s: intervals are too narrow and small differences cannot be found; 6 or more are needed", observationsText(n, a.Unit)))
	}
	if imbalance != 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d frames are unaccounted for: this is a bug of the program", imbalance))
	}
	fps := metrics[0].sample(c.Rows, c.ID)
	if drift := fps.Drift(); a.Unit == plan.UnitRecord && drift > 0.3 {
		c.Notes = append(c.Notes, fmt.Sprintf("unstable: %.0f %% of the frame rate's variance lies between visits, so records are no independent observations; use more repeats", 100*drift))
	}
	if e := c.Means[0]; e.N > 1 && e.Value > 0 {
		values := fps.Values(a.Unit)
		if spread := (slices.Max(values) - slices.Min(values)) / e.Value; spread > 0.25 {
			c.Notes = append(c.Notes, fmt.Sprintf("unstable: frame rates range from %s to %s fps", num(slices.Min(values)), num(slices.Max(values))))
		}
	}
	if lat := c.Medians[1]; !math.IsNaN(c.Clock) && lat.N > 0 && c.Clock > lat.Value/2 {
		c.Notes = append(c.Notes, fmt.Sprintf("the clocks' relation is known to ±%s ms only, which is much of a median latency of %s ms", num(c.Clock), num(lat.Value)))
	}
	a.describeVisits(c)
	return nil
}

func observationsText(n int, unit plan.Unit) string {
	word := string(unit)
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// describeVisits notes what happened during a cell's visits.
func (a *Analysis) describeVisits(c *Cell) {
	throttled, late := false, 0.0
	for _, v := range a.Data.Visits {
		if v.Cell != c.ID {
			continue
		}
		switch v.Event {
		case result.Broken, result.GaveUp:
			c.Repeated++
			c.Notes = append(c.Notes, fmt.Sprintf("repeat %d was broken off and made again: %s", v.Repeat, strings.TrimPrefix(v.Cause, "visit broken off: ")))
		}
		for _, d := range v.Differs {
			if n := "the camera does it otherwise: " + d; !slices.Contains(c.Notes, n) {
				c.Notes = append(c.Notes, n)
			}
		}
		if v.Here != nil && v.Here.ThrottledNow() {
			throttled = true
		}
		if v.Got != nil {
			if r, ok := reading(v.Got.Machine); ok && r.ThrottledNow() {
				throttled = true
			}
			if v.Got.Codec != "" {
				c.Codec = v.Got.Codec
			}
		}
		if v.Late != nil {
			late = max(late, *v.Late)
		}
	}
	if throttled {
		c.Notes = append(c.Notes, "a machine was throttled (heat or a weak power supply) while this was measured")
	}
	if late > float64(netem.MaxLateness)/1e6 {
		c.Notes = append(c.Notes, fmt.Sprintf("spoiled: this machine was so busy that the simulated link was up to %s ms late", num(late)))
	}
}

func reading(b []byte) (doctor.Reading, bool) {
	var r doctor.Reading
	return r, len(b) > 0 && json.Unmarshal(b, &r) == nil
}

// compare compares all pairs of cells that differ in one factor; with more than
// four levels, each with the first.
func (a *Analysis) compare() {
	factors := a.Data.Plan.Factors
	for k := range metrics {
		m := &metrics[k]
		var of []*stats.Comparison
		start := len(a.Contrasts)
		for i := range a.Cells {
			for j := i + 1; j < len(a.Cells); j++ {
				f := differBy(a.Cells[i].Levels, a.Cells[j].Levels)
				if f < 0 || len(factors[f].Levels) > 4 && a.Cells[i].Levels[f] != factors[f].Levels[0] {
					continue
				}
				x := Contrast{Metric: m, Factor: factors[f].Name, A: i, B: j, LA: a.Cells[i].Levels[f], LB: a.Cells[j].Levels[f]}
				if a.Data.Plan.Design != plan.OneAtATime {
					x.Given = a.given(i, f)
				}
				x.Comparison = stats.Compare(m.sample(a.Cells[i].Rows, a.Cells[i].ID), m.sample(a.Cells[j].Rows, a.Cells[j].ID), a.Unit, seedOf(a.Data.Plan, i*len(a.Cells)+j, k))
				a.warnContrast(&x)
				a.Contrasts = append(a.Contrasts, x)
			}
		}
		for i := start; i < len(a.Contrasts); i++ {
			of = append(of, &a.Contrasts[i].Comparison)
		}
		if !m.head {
			stats.Correct(of) // a family of its own: it decides nothing
		}
	}
	var family []*stats.Comparison
	for i := range a.Contrasts {
		if a.Contrasts[i].Metric.head {
			family = append(family, &a.Contrasts[i].Comparison)
		}
	}
	stats.Correct(family)
	a.family = len(family)
}

func (a *Analysis) warnContrast(x *Contrast) {
	if !strings.Contains(x.Metric.key, "latency") && !strings.Contains(x.Metric.key, "age") {
		return
	}
	for _, i := range []int{x.A, x.B} {
		if c := a.Cells[i].Clock; !math.IsNaN(c) && c > math.Abs(x.Difference.Value) && x.Difference.Value != 0 {
			x.Warnings = append(x.Warnings, fmt.Sprintf("the clock error (±%s ms) is larger than the difference", num(c)))
			return
		}
	}
}

func differBy(a, b []string) int {
	f := -1
	for i := range a {
		if a[i] != b[i] {
			if f >= 0 {
				return -1
			}
			f = i
		}
	}
	return f
}

// given names the levels of the factors that a contrast does not vary.
func (a *Analysis) given(cell, factor int) string {
	var parts []string
	for i, l := range a.Cells[cell].Levels {
		if i != factor {
			parts = append(parts, a.Data.Plan.Factors[i].Name+" "+l)
		}
	}
	return strings.Join(parts, ", ")
}

// near is how far below the highest frame rate a setting may be and still be as
// good; among those the age of the newest frame decides.
const near = 0.02

func (a *Analysis) choose() {
	top := 0.0
	for _, c := range a.Cells {
		if c.Means[0].N > 0 {
			top = max(top, c.Means[0].Value)
		}
	}
	ageAt := slices.IndexFunc(metrics, func(m metric) bool { return m.key == "age-p99" })
	best := math.Inf(1)
	for i, c := range a.Cells {
		if c.Means[0].N == 0 || c.Means[0].Value < top*(1-near) {
			continue
		}
		v := c.Medians[ageAt].Value
		if c.Medians[ageAt].N == 0 {
			v = math.MaxFloat64
		}
		if a.Best < 0 || v < best {
			a.Best, best = i, v
		}
	}
	if a.Best >= 0 {
		a.Command = Command(&a.Cells[a.Best].Cell, a.Data.Manifest.Source)
	}
}

// Command is the line to type at the camera to use a setting.
func Command(c *plan.Cell, source string) string {
	args := []string{"framepipe", "send"}
	if source != "" {
		args = append(args, "--source", quote(source))
	}
	for _, s := range c.Settings {
		switch {
		case s.Name == "size":
			w, h, _ := strings.Cut(s.Value, "x")
			args = append(args, "-W", w, "-H", h)
		case s.Name == "port":
			args = append(args, "--camera-port", s.Value)
		case strings.HasPrefix(s.Name, "control."):
			args = append(args, "--control", strings.TrimPrefix(s.Name, "control.")+"="+s.Value)
		default:
			args = append(args, "--"+s.Name, s.Value)
		}
	}
	return strings.Join(append(args, "RECEIVER"), " ")
}

func quote(s string) string {
	if strings.ContainsAny(s, " ?&*;|<>()$'\"\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func (a *Analysis) warn() {
	d := a.Data
	missing, repeated := 0, 0
	for _, c := range a.Cells {
		missing += d.Plan.Records*d.Plan.Repeats - len(c.Rows)
		repeated += c.Repeated
	}
	if a.Stopped != "" {
		a.Warnings = append(a.Warnings, "Stopped early by the plan's stop rule: "+a.Stopped+".")
		if d.Plan.Stop.Precision > 0 {
			a.Warnings = append(a.Warnings, "Looking after each repeat and stopping when an interval is narrow enough makes intervals and p-values somewhat too favourable.")
		}
	} else if missing > 0 {
		a.Warnings = append(a.Warnings, fmt.Sprintf("Not finished: %d of %d records are missing. framepipe experiment run --resume --out DIR goes on.", missing, len(a.Cells)*d.Plan.Records*d.Plan.Repeats))
	}
	if repeated > 0 {
		a.Warnings = append(a.Warnings, fmt.Sprintf("%d visits were broken off and made again; see the cells' notes.", repeated))
	}
	if a.Unit == plan.UnitRecord && d.Plan.Repeats > 0 {
		a.Warnings = append(a.Warnings, fmt.Sprintf("The observation is the record, because there are only %s visits to each setting. Records of one visit may have more in common than records of two; with six repeats or more the visit becomes the observation.",
			words(maxVisits(a.Cells))))
	}
	if d.Plan.Length < 5*time.Second {
		a.Warnings = append(a.Warnings, fmt.Sprintf("Records are %v long, the origin's are 10 s.", d.Plan.Length))
	}
}

func maxVisits(cells []Cell) (n int) {
	for _, c := range cells {
		n = max(n, c.Visits)
	}
	return n
}

func words(n int) string {
	if n < 10 {
		return [...]string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}[n]
	}
	return strconv.Itoa(n)
}

package report

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/experiment/stats"
)

// Side is what two folders say of one figure of one setting.
type Side struct {
	Cell   string
	Metric *metric
	A, B   stats.Estimate
	stats.Comparison
}

// Versus compares two folders, setting by setting.
type Versus struct {
	A, B  *Analysis
	Unit  plan.Unit
	Sides []Side
	Only  []string // settings that only one of them has
}

// Compare compares experiment b with a: the settings that both have.
func Compare(a, b *Analysis) (*Versus, error) {
	v := &Versus{A: a, B: b, Unit: plan.UnitRepeat}
	if a.Unit == plan.UnitRecord || b.Unit == plan.UnitRecord {
		v.Unit = plan.UnitRecord
	}
	common := 0
	for i := range a.Cells {
		x := &a.Cells[i]
		j := slices.IndexFunc(b.Cells, func(c Cell) bool { return c.ID == x.ID })
		if j < 0 {
			v.Only = append(v.Only, x.ID+" (only in "+a.Data.Dir+")")
			continue
		}
		common++
		y := &b.Cells[j]
		for k := range metrics {
			m := &metrics[k]
			sa, sb := m.sample(x.Rows, x.ID), m.sample(y.Rows, y.ID)
			if sa.Visits() == 0 || sb.Visits() == 0 {
				continue
			}
			seed := seedOf(a.Data.Plan, i, k)
			v.Sides = append(v.Sides, Side{x.ID, m, sa.Mean(v.Unit, seed), sb.Mean(v.Unit, seed), stats.Compare(sa, sb, v.Unit, seed)})
		}
	}
	for _, y := range b.Cells {
		if !slices.ContainsFunc(a.Cells, func(c Cell) bool { return c.ID == y.ID }) {
			v.Only = append(v.Only, y.ID+" (only in "+b.Data.Dir+")")
		}
	}
	if common == 0 {
		return nil, fmt.Errorf("%s and %s have no setting in common", a.Data.Dir, b.Data.Dir)
	}
	for k := range metrics { // a family for each figure: the same question to every setting
		var family []*stats.Comparison
		for i := range v.Sides {
			if v.Sides[i].Metric == &metrics[k] {
				family = append(family, &v.Sides[i].Comparison)
			}
		}
		stats.Correct(family)
	}
	return v, nil
}

// Print writes the comparison as a table, with a verdict for each line.
func (v *Versus) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "setting\tfigure\t%s\t%s\tdifference\t95 %% interval\tp\tverdict\n", v.A.Data.Dir, v.B.Data.Dir)
	for _, s := range v.Sides {
		d := s.Relative
		text := func(x float64) string { return signed(100*x) + " %" }
		if math.IsNaN(d.Value) {
			d = s.Difference
			text = func(x float64) string { return signed(x) + " " + s.Metric.unit }
		}
		interval := "unknown"
		if !math.IsNaN(d.Lo) {
			interval = text(d.Lo) + " to " + text(d.Hi)
		}
		fmt.Fprintf(t, "%s\t%s, %s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Cell, s.Metric.name, s.Metric.unit, num(s.A.Value), num(s.B.Value), text(d.Value), interval, pText(s.Corrected), s.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, o := range v.Only {
		fmt.Fprintln(w, "not compared: "+o)
	}
	_, err := fmt.Fprintf(w, "Observation: the %s. p: Mann-Whitney U test, corrected after Holm over the settings.\n", v.Unit)
	return err
}

func (s *Side) verdict() string {
	switch {
	case s.Seems():
		return "seems different; too few observations"
	case !s.Differs():
		return "no difference found"
	case (s.Difference.Value > 0) == s.Metric.up:
		return "better"
	}
	return "worse"
}

// Condition is a limit for a comparison, as in "fps < -5%": true where B differs
// from A in that figure by less than -5 % of A.
type Condition struct {
	metric  *metric
	less    bool
	limit   float64
	percent bool
	text    string
}

var conditionForm = regexp.MustCompile(`^\s*([a-z0-9-]+)\s*([<>])\s*([+-]?[0-9.]+)\s*(%?)\s*$`)

// ParseCondition reads a condition.
func ParseCondition(s string) (Condition, error) {
	c := Condition{text: strings.TrimSpace(s)}
	m := conditionForm.FindStringSubmatch(strings.ReplaceAll(s, "−", "-"))
	if m == nil {
		return c, fmt.Errorf("%q: write it as 'fps < -5%%' or 'latency-p50 > 10%%'", s)
	}
	if c.metric = metricByKey(m[1]); c.metric == nil {
		var keys []string
		for _, x := range metrics {
			keys = append(keys, x.key)
		}
		return c, fmt.Errorf("%q: unknown figure %q; there are %s", s, m[1], strings.Join(keys, ", "))
	}
	v, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return c, fmt.Errorf("%q: %q is no number", s, m[3])
	}
	c.less, c.limit, c.percent = m[2] == "<", v, m[4] == "%"
	if c.percent {
		c.limit /= 100
	}
	return c, nil
}

// Failures lists the settings in which a condition holds. It takes a difference
// that was found, and one that only seems to be there as well: a gate that too few
// observations can open is none.
func (v *Versus) Failures(c Condition) []string {
	var list []string
	for _, s := range v.Sides {
		d := s.Difference
		if c.percent {
			d = s.Relative
		}
		beyond := d.Value > c.limit
		if c.less {
			beyond = d.Value < c.limit
		}
		if s.Metric == c.metric && beyond && (s.Differs() || s.Seems()) {
			list = append(list, fmt.Sprintf("%s: %s changed by %s %% (%s to %s %s)", s.Cell, s.Metric.name, signed(100*s.Relative.Value), num(s.A.Value), num(s.B.Value), s.Metric.unit))
		}
	}
	return list
}

// Load analyses a folder without writing anything.
func Load(dir string) (*Analysis, error) {
	d, err := result.Read(dir)
	if err != nil {
		return nil, err
	}
	return Analyse(d)
}

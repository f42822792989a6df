package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"framepipe/experiment/stats"
	"framepipe/frame"
)

// causeText is a cause of loss for people.
func causeText(c frame.Cause) string { return strings.ReplaceAll(c.String(), "_", " ") }

// conclude puts what was found into sentences.
func (a *Analysis) conclude() {
	for i := range a.Contrasts {
		x := &a.Contrasts[i]
		if !x.Metric.head || x.NA == 0 || x.NB == 0 {
			continue
		}
		if s := a.sentence(x); s != "" {
			s = strings.ToUpper(s[:1]) + s[1:]
			a.Findings = append(a.Findings, s)
		}
	}
	if a.Best >= 0 && len(a.Cells) == 1 {
		e := a.Cells[0].Means[0]
		a.Findings = append(a.Findings, fmt.Sprintf("%s fps on average%s.", num(e.Value), bracket(e)))
	}
}

func (a *Analysis) sentence(x *Contrast) string {
	m := x.Metric
	da, db := a.Cells[x.A].Means[metricIndex(m)], a.Cells[x.B].Means[metricIndex(m)]
	more, less, d := x.LB, x.LA, x.Difference
	hi, lo := db.Value, da.Value
	if d.Value < 0 {
		more, less, hi, lo = less, more, lo, hi
		d.Value, d.Lo, d.Hi = -d.Value, -d.Hi, -d.Lo
	}
	given := ""
	if x.Given != "" {
		given = " (" + x.Given + ")"
	}
	interval := fmt.Sprintf("95 %% interval %s to %s", num(d.Lo), num(d.Hi))
	level := func(l string) string {
		if l != "" && (l[0] >= '0' && l[0] <= '9') && x.Factor != "size" {
			return x.Factor + " " + l
		}
		return l
	}
	more, less = level(more), level(less)
	if !x.Differs() && !x.Seems() {
		if m.key != "fps" {
			return ""
		}
		return fmt.Sprintf("Between %s and %s%s no difference in %s was found (%s and %s %s; difference %s, %s).", level(x.LA), level(x.LB), given, m.name, num(da.Value), num(db.Value), m.unit, signed(x.Difference.Value),
			fmt.Sprintf("95 %% interval %s to %s", signed(x.Difference.Lo), signed(x.Difference.Hi)))
	}
	if x.Seems() {
		if m.key != "fps" {
			return ""
		}
		return fmt.Sprintf("%s seems to give %s %s more than %s%s: %s against %s, %s; but %s of each are too few for the test to be sure of anything among %d comparisons.", more, num(d.Value), m.unit, less, given, num(hi), num(lo), interval,
			observationsText(min(x.NA, x.NB), a.Unit), a.family)
	}
	if m.up {
		return fmt.Sprintf("%s gives %s %s more than %s%s: %s against %s, %s.", more, num(d.Value), m.unit, less, given, num(hi), num(lo), interval)
	}
	return fmt.Sprintf("%s has a lower %s than %s%s: %s against %s %s, %s less (%s).", less, m.name, more, given, num(lo), num(hi), m.unit, num(d.Value), interval)
}

func metricIndex(m *metric) int {
	return slices.IndexFunc(metrics, func(x metric) bool { return x.key == m.key })
}

func bracket(e stats.Estimate) string {
	if math.IsNaN(e.Lo) {
		return ""
	}
	return fmt.Sprintf(" (95 %% interval %s to %s)", num(e.Lo), num(e.Hi))
}

// num shows as many digits as mean something.
func num(v float64) string {
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case abs >= 10_000:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 1 || abs < 0.005:
		return strings.Replace(strconv.FormatFloat(v, 'f', 1, 64), "-0.0", "0.0", 1)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func signed(v float64) string {
	if s := num(v); v > 0 && s != "0.0" {
		return "+" + s
	} else if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	} else {
		return s
	}
}

// joined writes a map for people, in order of its keys.
func joined(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, strings.ReplaceAll(k, "_", " ")+" "+m[k])
	}
	return strings.Join(parts, "; ")
}

// keys lists the words of a set, without the empty one.
func keys(m map[string]bool) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k != "" {
			parts = append(parts, k)
		}
	}
	return strings.Join(parts, ", ")
}

// Package plan reads what an experiment is to do: which settings vary, how often
// and how long each is measured, in which order, and when to stop. A plan is a
// small YAML file; the presets in the folder presets are such files too.
//
// A plan is checked completely before anything is measured, and each mistake is
// one line that names the line of the file. What a plan does not know is an
// error, not ignored: a misspelt factor would otherwise be measured as nothing.
//
// Words: a factor is a setting that varies, a level one of its values, a cell one
// combination of levels. A visit measures one cell for a number of records; each
// repeat visits every cell once, in an order drawn anew from the seed, so that
// whatever drifts (temperature, neighbours on the air) meets all cells alike.
package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Plan is a checked plan. Parse and Preset make one; Check must pass after fields
// were changed.
type Plan struct {
	Name        string
	Description string
	Source      string // camera for runs on one machine; "" = the runner's default
	Fixed       []Setting
	Factors     []Factor
	Design      Design
	Records     int           // in each visit
	Length      time.Duration // of a record
	Repeats     int           // visits to each cell
	Warmup      time.Duration // after the first frame with a cell's settings, before its first record
	Seed        uint64
	Link        string // specification of a simulated link; "" = the real one
	Stop        Stop
	Unit        Unit
	Pause       time.Duration // between visits, for a machine to cool down
}

// Setting is one setting with its value, as the plan writes it.
type Setting struct {
	Name, Value string
	line        int
}

// Factor is a setting that varies.
type Factor struct {
	Name   string
	Levels []string
	line   int
}

// Design says which combinations of levels are cells.
type Design string

const (
	// Full makes every combination of levels a cell.
	Full Design = "full"
	// OneAtATime makes a cell of all first levels, and one of each other level
	// with the first levels of all other factors.
	OneAtATime Design = "one-at-a-time"
)

// Unit is what counts as one observation in tests and intervals.
type Unit string

const (
	UnitAuto   Unit = "auto" // the repeat from six repeats on, else the record
	UnitRecord Unit = "record"
	UnitRepeat Unit = "repeat" // the mean of a visit's records
)

// Stop ends an experiment early, after a repeat that is complete, so that every
// cell has as many visits. The zero value never does.
type Stop struct {
	After      time.Duration // begin no repeat after so long; 0 = no limit
	Precision  float64       // stop when the interval of every cell's frame rate is within ± this part of its mean; 0 = never
	MinRepeats int           // of Precision; 0 = 3
}

// Cell is one combination of levels, with everything that is fixed.
type Cell struct {
	ID       string    // for files and tables: the levels, joined by dashes
	Levels   []string  // one for each factor, in their order
	Settings []Setting // fixed ones and levels
}

// Visit is one visit to a cell.
type Visit struct {
	Cell   int // index into Cells
	Repeat int // from 1
}

// Cells lists the cells in the plan's order.
func (p *Plan) Cells() []Cell {
	var cells []Cell
	add := func(levels []string) {
		c := Cell{Levels: levels, Settings: append([]Setting(nil), p.Fixed...)}
		var parts []string
		for i, l := range levels {
			c.Settings = append(c.Settings, Setting{Name: p.Factors[i].Name, Value: l})
			parts = append(parts, tag(p.Factors[i].Name, l))
		}
		if c.ID = strings.Join(parts, "-"); c.ID == "" {
			c.ID = "only"
		}
		cells = append(cells, c)
	}
	first := make([]string, len(p.Factors))
	for i, f := range p.Factors {
		first[i] = f.Levels[0]
	}
	if p.Design == OneAtATime {
		add(first)
		for i, f := range p.Factors {
			for _, l := range f.Levels[1:] {
				levels := append([]string(nil), first...)
				levels[i] = l
				add(levels)
			}
		}
		return cells
	}
	var combine func(levels []string)
	combine = func(levels []string) {
		if len(levels) == len(p.Factors) {
			add(append([]string(nil), levels...))
			return
		}
		for _, l := range p.Factors[len(levels)].Levels {
			combine(append(levels, l))
		}
	}
	combine(make([]string, 0, len(p.Factors)))
	return cells
}

// cellCount is len(Cells()) without making them; it stops counting at a million.
func (p *Plan) cellCount() int {
	n := 1
	for _, f := range p.Factors {
		if p.Design == OneAtATime {
			n += len(f.Levels) - 1
		} else if n *= len(f.Levels); n > 1_000_000 {
			return n
		}
	}
	return n
}

// tag is a level as a part of a cell's ID: fit for file names, and unambiguous
// without its factor's name where the value is a number.
func tag(factor, level string) string {
	var b strings.Builder
	if level != "" && (level[0] >= '0' && level[0] <= '9' || level[0] == '-') && factor != "size" {
		b.WriteString(strings.TrimPrefix(factor, "control."))
	}
	for _, r := range level {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// Order lists all visits: each repeat visits every cell once, in random order.
func (p *Plan) Order() []Visit {
	rng := rand.New(rand.NewPCG(p.Seed, 0x6f72646572))
	n := p.cellCount()
	var all []Visit
	for r := 1; r <= p.Repeats; r++ {
		for _, c := range rng.Perm(n) {
			all = append(all, Visit{c, r})
		}
	}
	return all
}

// VisitTime is about how long a visit takes: records, warm-up, pause, and what
// changing the settings costs.
func (p *Plan) VisitTime() time.Duration {
	return time.Duration(p.Records)*p.Length + p.Warmup + p.Pause + 500*time.Millisecond
}

// Time is about how long the experiment takes if nothing stops it earlier.
func (p *Plan) Time() time.Duration {
	return time.Duration(p.Repeats*p.cellCount()) * p.VisitTime()
}

// UnitOf is the unit of analysis that is really used when there are so many
// repeats.
func (p *Plan) UnitOf(repeats int) Unit {
	if p.Unit == UnitAuto || p.Unit == "" {
		if repeats >= 6 {
			return UnitRepeat
		}
		return UnitRecord
	}
	return p.Unit
}

// Base is the value that a setting has in the cell: its level, or what is fixed.
func (c *Cell) Base(name string) (string, bool) {
	for _, s := range c.Settings {
		if s.Name == name {
			return s.Value, true
		}
	}
	return "", false
}

// Text is the cell's levels for people: "mode continuous, format jpeg".
func (p *Plan) Text(c *Cell) string {
	if len(c.Levels) == 0 {
		return "the only setting"
	}
	parts := make([]string, len(c.Levels))
	for i, l := range c.Levels {
		parts[i] = fmt.Sprintf("%s %s", p.Factors[i].Name, l)
	}
	return strings.Join(parts, ", ")
}

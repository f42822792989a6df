package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// cell is all rows of one name.
type cell struct {
	name    string
	rows    int                  // runs that gave figures
	spoiled int                  // runs that did not, having been late in each repeat
	repeats int                  // attempts that were thrown away
	values  map[string][]float64 // by unit
}

// table is what a links.txt holds.
type table struct {
	config []benchfmt.Config // of the first row: machine, links, command
	cells  []*cell           // in order of their first row
}

// readTable reads rows in Go benchmark format.
func readTable(file string) (*table, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseTable(f, file)
}

func parseTable(in io.Reader, file string) (*table, error) {
	t := &table{}
	r := benchfmt.NewReader(in, file)
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			if t.config == nil {
				t.config = slices.Clone(rec.Clone().Config)
			}
			t.add(rec)
		case *benchfmt.SyntaxError:
			return nil, rec
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(t.cells) == 0 {
		return nil, fmt.Errorf("%s: no benchmark rows", file)
	}
	return t, nil
}

func (t *table) add(r *benchfmt.Result) {
	c := t.cell(r.Name.String())
	if c == nil {
		c = &cell{name: r.Name.String(), values: map[string][]float64{}}
		t.cells = append(t.cells, c)
	}
	for _, v := range r.Values {
		switch v.Unit {
		case "repeats":
			c.repeats += int(v.Value)
		case "spoiled":
			c.spoiled += int(v.Value)
		}
	}
	if n, _ := r.Value("spoiled"); n > 0 {
		return
	}
	c.rows++
	for _, v := range r.Values {
		c.values[v.Unit] = append(c.values[v.Unit], v.Value)
	}
}

// cell finds a cell, nil if there is none.
func (t *table) cell(name string) *cell {
	i := slices.IndexFunc(t.cells, func(c *cell) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return t.cells[i]
}

// get is the value of a configuration line, "" if there is none.
func (t *table) get(key string) string {
	for _, c := range t.config {
		if c.Key == key {
			return string(c.Value)
		}
	}
	return ""
}

// confidence of the intervals, where there are enough runs for it.
const confidence = 0.95

// estimate is a median and what surrounds the true one.
type estimate struct {
	median, lo, hi float64
	confidence     float64
}

// estimate of a unit; false if no run knew it. Of fewer than six values no
// interval reaches 95 %: then it is their whole range, with the confidence that
// it has.
func (c *cell) estimate(unit string) (estimate, bool) {
	if c == nil || len(c.values[unit]) == 0 {
		return estimate{}, false
	}
	values := c.values[unit]
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds), confidence)
	e := estimate{s.Center, s.Lo, s.Hi, s.Confidence}
	if math.IsInf(e.lo, 0) || math.IsInf(e.hi, 0) {
		e.lo, e.hi = slices.Min(values), slices.Max(values)
		e.confidence = 1 - math.Pow(2, float64(1-len(values)))
	}
	return e, true
}

// differs is the probability that two cells' values of a unit would differ so
// much if they were of one distribution; false where either is not known.
func differs(a, b *cell, unit string) (float64, bool) {
	if a == nil || b == nil || len(a.values[unit]) == 0 || len(b.values[unit]) == 0 {
		return 0, false
	}
	sample := func(c *cell) *benchmath.Sample {
		return benchmath.NewSample(slices.Clone(c.values[unit]), &benchmath.DefaultThresholds)
	}
	return benchmath.AssumeNothing.Compare(sample(a), sample(b)).P, true
}

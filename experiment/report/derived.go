package report

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/measure"
)

// summaries writes the origin's summary file for each visit.
func summaries(d *result.Data) error {
	type visit struct {
		cell   string
		repeat int
	}
	files := map[visit]*bytes.Buffer{}
	writers := map[visit]*measure.Summary{}
	for _, r := range inOrder(d.Valid()) {
		v := visit{r.Cell, r.Repeat}
		if files[v] == nil {
			files[v] = new(bytes.Buffer)
			w, err := measure.NewSummary(files[v])
			if err != nil {
				return err
			}
			writers[v] = w
		}
		if err := writers[v].Add(&r.Record); err != nil {
			return err
		}
	}
	for v, b := range files {
		if err := result.WriteFile(filepath.Join(d.Dir, fmt.Sprintf("summary-%s-%d.txt", v.cell, v.repeat)), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// inOrder sorts rows as the plan numbers them, whatever order they were measured in.
func inOrder(rows []result.Row) []result.Row {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b result.Row) int {
		return cmp.Or(cmp.Compare(a.Repeat, b.Repeat), cmp.Compare(a.Number, b.Number))
	})
	return rows
}

// bench writes bench.txt: one line for each observation, so that benchstat's
// tests take for independent what the plan says is.
func bench(d *result.Data, unit plan.Unit) ([]byte, error) {
	var b bytes.Buffer
	for _, m := range metrics {
		fmt.Fprintf(&b, "Unit %s better=%s\n", m.bench, m.better())
	}
	b.WriteString("\n")
	config := []benchfmt.Config{}
	for _, kv := range [][2]string{{"experiment", d.Plan.Name}, {"camera", d.Manifest.Name}, {"camera-host", d.Manifest.Host}, {"source", d.Manifest.Source},
		{"link", d.Manifest.Link}, {"observation", string(unit)}, {"record-length", d.Plan.Length.String()}} {
		if kv[1] != "" {
			config = append(config, benchfmt.Config{Key: kv[0], Value: []byte(kv[1]), File: true})
		}
	}
	w := benchfmt.NewWriter(&b)
	for _, c := range d.Plan.Cells() {
		name := "Experiment"
		for i, l := range c.Levels {
			name += "/" + d.Plan.Factors[i].Name + "=" + strings.Join(strings.Fields(l), "_")
		}
		for _, o := range observations(d, c.ID, unit) {
			r := &benchfmt.Result{Config: config, Name: benchfmt.Name(name), Iters: o.records}
			for i, m := range metrics {
				if o.known[i] {
					r.Values = append(r.Values, benchfmt.Value{Value: o.of[i], Unit: m.bench})
				}
			}
			if err := w.Write(r); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), nil
}

type observation struct {
	records int
	of      []float64
	known   []bool
}

// observations of a cell are its records or the means of its visits.
func observations(d *result.Data, cell string, unit plan.Unit) []observation {
	var list []observation
	repeat := -1
	for _, r := range inOrder(d.Valid()) {
		if r.Cell != cell {
			continue
		}
		if unit == plan.UnitRecord || r.Repeat != repeat {
			list = append(list, observation{of: make([]float64, len(metrics)), known: make([]bool, len(metrics))})
			repeat = r.Repeat
		}
		o := &list[len(list)-1]
		for i, m := range metrics {
			v, ok := m.of(&r)
			if !ok {
				continue
			}
			// The mean so far, over the records that know this figure.
			n := float64(o.records)
			if !o.known[i] {
				n = 0
			}
			o.of[i], o.known[i] = (o.of[i]*n+v)/(n+1), true
		}
		o.records++
	}
	return list
}

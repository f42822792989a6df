// Package sheet puts what was measured into a document: tables between marks, bars,
// and on what machine it was. It measures nothing itself; programs under test that
// compare us with others share it, so that their pages look alike and say the same of
// where the figures come from.
package sheet

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Replace puts text between two marks of a file: <!-- name --> and <!-- /name -->.
func Replace(file, name, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), "<!-- "+name+" -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- /"+name+" -->")
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks <!-- %s --> and <!-- /%s -->", file, name, name)
	}
	return os.WriteFile(file, []byte(head+"<!-- "+name+" -->\n"+text+"<!-- /"+name+" -->"+tail), 0o666)
}

// Machine describes where, with what and when this runs.
func Machine() string {
	build := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "CGO_ENABLED" && s.Value == "0" {
				build = ", built without cgo"
			}
		}
	}
	return fmt.Sprintf("%s, %d processors, %s%s%s; Go %s; %s", Processor(), runtime.NumCPU(), runtime.GOOS, kernel(), build,
		strings.TrimPrefix(runtime.Version(), "go"), time.Now().UTC().Format("2 January 2006"))
}

// Processor is the model's name, as Linux has it; else the architecture's.
func Processor() string {
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return " " + strings.TrimSpace(string(b))
}

// Median is the upper one of the middle; 0 of none.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// Bar is one bar of a plot.
type Bar struct {
	Label string
	Value float64
}

// Bars draws them, the first on top, into an SVG.
func Bars(file, unit string, bars []Bar) error {
	p := plot.New()
	p.X.Label.Text = unit
	var values plotter.Values
	var labels []string
	for _, b := range slices.Backward(bars) {
		values, labels = append(values, b.Value), append(labels, b.Label)
	}
	chart, err := plotter.NewBarChart(values, vg.Points(9))
	if err != nil {
		return err
	}
	chart.Horizontal = true
	p.Add(chart)
	p.NominalY(labels...)
	p.X.Min = 0
	return p.Save(9*vg.Inch, vg.Length(len(bars))*vg.Points(15)+40, file)
}

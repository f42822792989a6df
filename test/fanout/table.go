//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"framepipe/test/sheet"
)

// table collects medians for the document.
type table struct {
	rows strings.Builder
	bars []sheet.Bar
	ours float64 // of the case in work
}

// median is that of one figure over all runs.
func median(runs []figures, value func(figures) float64) float64 {
	var v []float64
	for _, f := range runs {
		v = append(v, value(f))
	}
	return sheet.Median(v)
}

func cpu(f figures) float64 { return f.CPU }

func p99(f figures) float64 { return f.P99 }

// add takes all runs of one program in one case; ours comes first.
func (t *table) add(w work, program string, runs []figures) {
	cpu := median(runs, cpu)
	ratio := ""
	if program == "framepipe" {
		t.ours = cpu
	} else {
		ratio = fmt.Sprintf("%.2f ×", t.ours/cpu)
	}
	what := fmt.Sprintf("%d × %d kB at %d fps", w.viewers, w.bytes/1000, w.fps)
	if w.sent {
		what += ", one camera by `send`"
	} else if w.cameras > 1 {
		what += fmt.Sprintf(", %d cameras by `send`", w.cameras)
	}
	fmt.Fprintf(&t.rows, "| %s | %s | %.1f | %s | %.2f | %.2f | %.1f | %.0f | %.0f (%.1f) |\n", what, program, cpu, ratio,
		median(runs, func(f figures) float64 { return f.P50 }), median(runs, p99),
		median(runs, func(f figures) float64 { return float64(f.Least) / f.Seconds }), median(runs, func(f figures) float64 { return f.RSS }),
		median(runs, func(f figures) float64 { return f.Resident }), median(runs, func(f figures) float64 { return f.Own }))
	t.bars = append(t.bars, sheet.Bar{Label: strings.ReplaceAll(what, "`", "") + ": " + program, Value: cpu})
}

func (t *table) text(reps int, length time.Duration) string {
	return fmt.Sprintf("%s. Medians of %d runs of %v each, the programs taking turns.\n\n", sheet.Machine(), reps, length) +
		"| viewers | server | its processor time per delivered frame, µs | ours beside it | latency p50, ms | p99, ms | worst served viewer, fps | memory per viewer, kB | resident, MB (of it its own) |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n" + t.rows.String()
}

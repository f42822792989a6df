package report

import (
	"fmt"
	"math"
	"time"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"framepipe/experiment/tune"
)

// Pareto draws what a search measured: latency against frame rate, with the goal
// and the settings that no other beats, and writes pareto.svg and pareto.png.
func Pareto(dir string, r *tune.Result, goal tune.Goal) error {
	p := newPlot("Settings by latency and frame rate", "latency, 99 % of frames, ms (logarithmic)", "frames per second")
	var keys []key
	lo, hi, top := math.Inf(1), 0.0, goal.MinFPS
	limit := float64(goal.MaxLatency) / float64(time.Millisecond)
	var front, others, best plotter.XYs
	labels := plotter.XYLabels{}
	for i, c := range r.Candidates {
		if !c.Measured || math.IsNaN(c.Latency) || c.Latency <= 0 {
			continue
		}
		at := plotter.XY{X: c.Latency, Y: c.FPS}
		lo, hi, top = min(lo, at.X), max(hi, at.X), max(top, at.Y)
		switch {
		case i == r.Best || i == r.Nearest:
			best = append(best, at)
			labels.XYs, labels.Labels = append(labels.XYs, at), append(labels.Labels, c.ID)
		case c.Front:
			front = append(front, at)
		default:
			others = append(others, at)
		}
	}
	if hi == 0 {
		return nil // nothing was measured
	}
	lo, hi = min(lo, limit)/1.5, max(hi, limit)*2
	for _, l := range []plotter.XYs{{{X: limit, Y: 0}, {X: limit, Y: top * 1.12}}, {{X: lo, Y: goal.MinFPS}, {X: hi, Y: goal.MinFPS}}} {
		line, err := plotter.NewLine(l)
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = axis, vg.Points(1), []vg.Length{vg.Points(5), vg.Points(4)}
		p.Add(line)
	}
	for k, g := range []struct {
		xy    plotter.XYs
		label string
		shape draw.GlyphDrawer
		size  vg.Length
	}{{front, "no other is better in all of frame rate, latency and picture", draw.CircleGlyph{}, 3}, {others, "others", draw.RingGlyph{}, 2.5}, {best, "chosen", draw.BoxGlyph{}, 5}} {
		if len(g.xy) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(g.xy)
		if err != nil {
			return err
		}
		dots.Color, dots.Shape, dots.Radius = colour(k), g.shape, g.size
		p.Add(dots)
		keys = append(keys, key{g.label, k, g.shape})
	}
	if len(labels.XYs) > 0 {
		text, err := plotter.NewLabels(labels)
		if err != nil {
			return err
		}
		for i := range text.TextStyle {
			text.TextStyle[i] = legendText(p)
		}
		text.Offset = vg.Point{X: 8, Y: -14}
		p.Add(text)
	}
	logX(p, lo, hi)
	p.Y.Min, p.Y.Max = 0, top*1.12
	f, err := render("pareto", "", "", p, 3.6*vg.Inch, keys...)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return writeFigures(dir, []figure{f})
}

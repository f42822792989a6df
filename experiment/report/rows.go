package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"framepipe/frame"
	"framepipe/measure"
)

// rows makes a plot with a horizontal row for each cell, the first on top.
func rows(title, x string, labels []string) *plot.Plot {
	p := newPlot(title, x, "")
	names := slices.Clone(labels)
	slices.Reverse(names)
	p.NominalY(names...)
	p.Y.LineStyle.Width, p.Y.Tick.Length, p.Y.Padding = 0, 0, vg.Points(8)
	p.Y.Min, p.Y.Max = -0.6, float64(len(labels))-0.4
	return p
}

func rowHeight(n int) vg.Length { return vg.Length(1.35+0.36*float64(n)) * vg.Inch }

// estimates shows each cell's observations and the mean with its interval.
func (a *Analysis) estimates(g series) (figure, error) {
	p := rows("Frame rate: observations, mean, 95 % interval", "frames per second", g.labels)
	n := len(g.cells)
	for i, c := range g.cells {
		y := float64(n - 1 - i)
		var xy plotter.XYs
		for k, v := range metrics[0].sample(a.Cells[c].Rows, a.Cells[c].ID).Values(a.Unit) {
			xy = append(xy, plotter.XY{X: v, Y: y - 0.12 - 0.035*float64(k%5)})
		}
		if len(xy) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(xy)
		if err != nil {
			return figure{}, err
		}
		dots.Color, dots.Shape, dots.Radius = faded(colour(i)), draw.CircleGlyph{}, vg.Points(2)
		p.Add(dots)
		if err := interval(p, a.Cells[c].Means[0].Value, a.Cells[c].Means[0].Lo, a.Cells[c].Means[0].Hi, y+0.1, i); err != nil {
			return figure{}, err
		}
	}
	p.X.Min = 0
	p.X.Max *= 1.04
	return render("estimates", fmt.Sprintf("One small dot for each %s; the large ones are means with bootstrap 95 %% intervals.", a.Unit), "Frame rates of all settings with intervals", p, rowHeight(n))
}

// interval draws a large dot with a horizontal bar.
func interval(p *plot.Plot, v, lo, hi, y float64, look int) error {
	at := plotter.XYs{{X: v, Y: y}}
	mark, err := plotter.NewScatter(at)
	if err != nil {
		return err
	}
	mark.Color, mark.Shape, mark.Radius = colour(look), draw.CircleGlyph{}, vg.Points(4)
	if !math.IsNaN(lo) {
		bar, err := plotter.NewLine(plotter.XYs{{X: lo, Y: y}, {X: hi, Y: y}})
		if err != nil {
			return err
		}
		bar.Color, bar.Width = colour(look), vg.Points(2.2)
		p.Add(bar)
	}
	p.Add(mark)
	return nil
}

func faded(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	mix := func(v uint32) uint8 { return uint8((v>>8)*45/100 + 255*55/100) }
	return color.RGBA{mix(r), mix(g), mix(b), 255}
}

// latencies shows the distribution of all frames' latencies.
func (a *Analysis) latencies(g series) (figure, error) {
	p := newPlot("Latency of delivered frames: share of frames below", "capture to delivery, ms (logarithmic)", "% of frames")
	some := false
	var keys []key
	lo, hi := math.Inf(1), 0.0
	for i, c := range g.cells {
		var all []float64
		for _, f := range a.Cells[c].Frames {
			if v := f.Stages[measure.StageTotal]; v >= 0 {
				all = append(all, max(v, 0.01))
			}
		}
		if len(all) == 0 {
			continue
		}
		some = true
		slices.Sort(all)
		const steps = 200
		var xy plotter.XYs
		for s := 0; s <= steps; s++ {
			k := min(len(all)-1, s*len(all)/steps)
			xy = append(xy, plotter.XY{X: all[k], Y: 100 * float64(s) / steps})
		}
		lo, hi = min(lo, all[0]), max(hi, all[len(all)-1])
		line, err := plotter.NewLine(xy)
		if err != nil {
			return figure{}, err
		}
		line.Color, line.Width = colour(i), vg.Points(1.8)
		if i >= len(colours) {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		p.Add(line)
		keys = append(keys, key{g.labels[i], i, draw.CircleGlyph{}})
	}
	if !some {
		return figure{}, nil
	}
	logX(p, lo*0.85, hi*1.2)
	p.Y.Min, p.Y.Max = 0, 100
	return render("latency", "The further left, the sooner; the steeper, the steadier. All frames of all records.", "Distribution of latency", p, 3.1*vg.Inch, keys...)
}

// logX makes the horizontal axis logarithmic, with two marks at least.
func logX(p *plot.Plot, lo, hi float64) {
	if hi < lo*4 {
		lo, hi = lo/1.6, hi*1.6
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	p.X.Min, p.X.Max = lo, hi
}

// logTicks marks 1, 2 and 5 of each power of ten.
type logTicks struct{}

func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	wide := hi/lo > 200
	for decade := math.Pow(10, math.Floor(math.Log10(lo))); decade <= hi; decade *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := m * decade; v >= lo && v <= hi {
				t := plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)}
				if wide && m != 1 {
					t.Label = ""
				}
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

// bars is a plot of stacked horizontal bars: of[k][i] is part k of row i.
func bars(p *plot.Plot, names []string, of [][]float64) (keys []key, err error) {
	n := len(of[0])
	var below *plotter.BarChart
	for k, values := range of {
		v := make(plotter.Values, n)
		for i := range values {
			v[n-1-i] = values[i]
		}
		b, err := plotter.NewBarChart(v, vg.Points(15))
		if err != nil {
			return nil, err
		}
		b.Horizontal, b.Color, b.LineStyle.Width = true, colour(k), 0
		if below != nil {
			b.StackOn(below)
		}
		below = b
		p.Add(b)
		keys = append(keys, key{names[k], k, nil})
	}
	return keys, nil
}

// stages shows where the time goes.
func (a *Analysis) stages(g series) (figure, error) {
	var names []string
	var of [][]float64
	for s := measure.StageDriver; s < measure.StageTotal; s++ {
		values, some := make([]float64, len(g.cells)), false
		for i, c := range g.cells {
			sum, n := 0.0, 0
			for _, f := range a.Cells[c].Frames {
				if v := f.Stages[s]; v >= 0 {
					sum, n = sum+v, n+1
				}
			}
			if n > 0 {
				values[i], some = sum/float64(n), true
			}
		}
		if some {
			names, of = append(names, s.String()), append(of, values)
		}
	}
	if len(of) == 0 {
		return figure{}, nil
	}
	p := rows("Where the time goes: mean latency by stage", "ms", g.labels)
	keys, err := bars(p, names, of)
	if err != nil {
		return figure{}, err
	}
	p.X.Min, p.X.Max = 0, p.X.Max*1.04
	return render("stages", "driver: captured to dequeued · encode · queue: waiting for the connection · network: to the first byte · transfer: to the last byte · deliver: to the viewers.", "Latency by stage", p, rowHeight(len(g.cells)), keys...)
}

// ages shows the age of the newest frame: median, and the 99th percentile.
func (a *Analysis) ages(g series) (figure, error) {
	k50, k99 := metricIndex(metricByKey("age-p50")), metricIndex(metricByKey("age-p99"))
	p := rows("Age of the newest frame: median ● and 99 % ○", "ms (logarithmic)", g.labels)
	some := false
	lo, hi := math.Inf(1), 0.0
	for i, c := range g.cells {
		m, w := a.Cells[c].Medians[k50], a.Cells[c].Medians[k99]
		if m.N == 0 || w.N == 0 || m.Value <= 0 {
			continue
		}
		some = true
		y := float64(len(g.cells) - 1 - i)
		lo, hi = min(lo, m.Value), max(hi, w.Value)
		link, err := plotter.NewLine(plotter.XYs{{X: m.Value, Y: y}, {X: w.Value, Y: y}})
		if err != nil {
			return figure{}, err
		}
		link.Color, link.Width = faded(colour(i)), vg.Points(3)
		p.Add(link)
		for q, v := range []float64{m.Value, w.Value} {
			dot, err := plotter.NewScatter(plotter.XYs{{X: v, Y: y}})
			if err != nil {
				return figure{}, err
			}
			dot.Color, dot.Radius, dot.Shape = colour(i), vg.Points(4), draw.GlyphDrawer(draw.CircleGlyph{})
			if q == 1 {
				dot.Shape = draw.RingGlyph{}
			}
			p.Add(dot)
		}
	}
	if !some {
		return figure{}, nil
	}
	logX(p, lo*0.7, hi*1.4)
	return render("age", "How old what a viewer sees is, sampled all the time: it counts drops and standstills, which latency does not. Medians over the records.", "Age of the newest frame", p, rowHeight(len(g.cells)))
}

// losses shows what became of the frames that were not delivered.
func (a *Analysis) losses(g series) (figure, error) {
	var names []string
	var of [][]float64
	for k := range frame.NumCauses {
		values, some := make([]float64, len(g.cells)), false
		for i, c := range g.cells {
			if n := a.Cells[c].Offered; n > 0 && a.Cells[c].Lost[k] > 0 {
				values[i], some = 100*float64(a.Cells[c].Lost[k])/float64(n), true
			}
		}
		if some {
			names, of = append(names, causeText(frame.Cause(k))), append(of, values)
		}
	}
	if len(of) == 0 {
		return figure{}, nil
	}
	p := rows("Frames that nobody got, by cause", "% of the camera's frames", g.labels)
	keys, err := bars(p, names, of)
	if err != nil {
		return figure{}, err
	}
	p.X.Min, p.X.Max = 0, p.X.Max*1.04
	return render("losses", "driver gap: the camera had no time for it, in continuous mode all frames in between · stale: a newer one replaced it before it could be sent.", "Losses by cause", p, rowHeight(len(g.cells)), keys...)
}

// course shows every record at the time when it was measured.
func (a *Analysis) course(g series) (figure, error) {
	p := newPlot("In the order of measuring", "minutes since the beginning", "frames per second")
	var begin time.Time
	for _, r := range a.Data.Rows {
		if begin.IsZero() || !r.Began.IsZero() && r.Began.Before(begin) {
			begin = r.Began
		}
	}
	if begin.IsZero() {
		return figure{}, nil
	}
	top := 0.0
	var keys []key
	for i, c := range g.cells {
		var xy plotter.XYs
		for _, r := range a.Cells[c].Rows {
			xy = append(xy, plotter.XY{X: r.Began.Sub(begin).Minutes(), Y: r.FPS})
			top = max(top, r.FPS)
		}
		if len(xy) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(xy)
		if err != nil {
			return figure{}, err
		}
		dots.Color, dots.Shape, dots.Radius = colour(i), shape(i), vg.Points(2.4)
		p.Add(dots)
		keys = append(keys, key{g.labels[i], i, shape(i)})
	}
	p.Y.Min, p.Y.Max = 0, top*1.12
	return render("course", "Every record at the time when it was measured: a trend here would be drift of machine or link, which the random order spreads over all settings.", "Time course", p, 3.1*vg.Inch, keys...)
}

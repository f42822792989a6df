package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// plotFile is one plot, written as SVG and as PNG.
type plotFile struct{ group, name string }

// panels of a plot, from top to bottom.
var panels = []struct {
	unit, label string
	log         bool
}{
	{"fps", "frames delivered per second", false},
	{"p50-ms", "latency, median (ms)", true},
	{"p99-ms", "latency, 99 % (ms)", true},
	{"age99-ms", "age of newest frame, 99 % (ms)", true},
}

// Colours that people with any colour vision can tell apart (Okabe and Ito), each
// with a shape of its own.
var (
	colours = []color.Color{
		color.RGBA{0, 0, 0, 255}, color.RGBA{110, 110, 110, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{0, 114, 178, 255},
		color.RGBA{86, 180, 233, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255}, color.RGBA{213, 94, 0, 255},
	}
	shapes = []draw.GlyphDrawer{
		draw.CircleGlyph{}, draw.RingGlyph{}, draw.TriangleGlyph{}, draw.BoxGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{},
	}
)

// plotAll draws one plot for each kind of frame that was sent over several links.
func plotAll(t *table, out string) ([]plotFile, error) {
	var files []plotFile
	for _, g := range t.groups() {
		if !slices.ContainsFunc(g.cells, func(c *cell) bool { return c.part("link") != g.cells[0].part("link") }) {
			continue
		}
		f := plotFile{g.key, "links-" + g.key}
		if err := g.plot(filepath.Join(out, f.name)); err != nil {
			return nil, fmt.Errorf("plot %s: %w", f.name, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// plot writes a group's panels one above the other.
func (g group) plot(name string) error {
	var linkNames, senders []string
	for _, c := range g.cells {
		if l := c.part("link"); !slices.Contains(linkNames, l) {
			linkNames = append(linkNames, l)
		}
	}
	byOrder := slices.Clone(g.cells)
	slices.SortStableFunc(byOrder, func(a, b *cell) int { return variantOrder(a) - variantOrder(b) })
	for _, c := range byOrder {
		if s := c.variant(); !slices.Contains(senders, s) {
			senders = append(senders, s)
		}
	}
	rows := make([][]*plot.Plot, len(panels))
	for i, panel := range panels {
		p := plot.New()
		if i == 0 {
			p.Title.Text = g.title + ": medians and intervals"
		}
		p.Title.Padding = vg.Points(8)
		p.Y.Label.Text = panel.label
		p.X.Label.Text = "link"
		p.NominalX(linkNames...)
		p.Add(plotter.NewGrid())
		p.Legend.Top, p.Legend.Left = true, true
		if err := g.points(p, panel.unit, linkNames, senders, i == 0); err != nil {
			return err
		}
		p.X.Min, p.X.Max = -0.5, float64(len(linkNames))-0.5
		if panel.log && p.Y.Min > 0 {
			p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
			p.Y.Min, p.Y.Max = p.Y.Min*0.8, p.Y.Max*1.25
		} else {
			p.Y.Min, p.Y.Max = 0, p.Y.Max*1.1
			if i == 0 { // room for the legend
				p.Y.Max *= 1 + 0.08*float64(len(senders))
			}
		}
		rows[i] = []*plot.Plot{p}
	}
	width := vg.Length(max(5, 1.6*float64(len(linkNames)))) * vg.Inch
	height := vg.Length(len(panels)) * 3 * vg.Inch
	svg := vgsvg.New(width, height)
	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(120))}
	for _, c := range []struct {
		canvas vg.CanvasWriterTo
		sized  vg.CanvasSizer
		ext    string
	}{{svg, svg, ".svg"}, {png, png, ".png"}} {
		dc := draw.New(c.sized)
		tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: vg.Points(10), PadX: vg.Points(4), PadTop: vg.Points(6), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(10)}
		for i, row := range plot.Align(rows, tiles, dc) {
			rows[i][0].Draw(row[0])
		}
		if err := writeCanvas(name+c.ext, c.canvas); err != nil {
			return err
		}
	}
	return nil
}

func writeCanvas(file string, c vg.CanvasWriterTo) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := c.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// points adds a unit's medians with error bars, the senders of a link side by side.
func (g group) points(p *plot.Plot, unit string, linkNames, senders []string, legend bool) error {
	orders := map[string]int{}
	for _, c := range g.cells {
		orders[c.variant()] = variantOrder(c)
	}
	for i, sender := range senders {
		var data struct {
			plotter.XYs
			plotter.YErrors
		}
		for _, c := range g.cells {
			e, ok := c.estimate(unit)
			if c.variant() != sender || !ok {
				continue
			}
			x := float64(slices.Index(linkNames, c.part("link"))) + 0.8*((float64(i)+0.5)/float64(len(senders))-0.5)
			data.XYs = append(data.XYs, plotter.XY{X: x, Y: e.median})
			data.YErrors = append(data.YErrors, struct{ Low, High float64 }{e.median - e.lo, e.hi - e.median})
		}
		if len(data.XYs) == 0 {
			continue
		}
		dots, err := plotter.NewScatter(data.XYs)
		if err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(data)
		if err != nil {
			return err
		}
		look := orders[sender] % len(colours) // the same in every plot
		dots.Color, dots.Shape, dots.Radius = colours[look], shapes[look], vg.Points(3.5)
		bars.Color = dots.Color
		p.Add(bars, dots)
		if legend {
			p.Legend.Add(sender, dots)
		}
	}
	return nil
}

// logTicks marks 1, 2 and 5 of each power of ten: the usual ones of gonum label
// powers of ten alone, and latencies span two.
type logTicks struct{}

func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(lo))); decade <= hi; decade *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v := m * decade; v >= lo && v <= hi {
				ticks = append(ticks, plot.Tick{Value: v, Label: num(v)})
			}
		}
	}
	return ticks
}

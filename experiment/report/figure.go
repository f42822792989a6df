package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
)

// figure is one plot in both forms.
type figure struct {
	name    string // of its files
	caption string
	text    string // what it shows, for those who do not see it
	svg     []byte
	png     []byte
}

// Colours that people with any colour vision can tell apart (Okabe and Ito),
// darkened where they are pale on white.
var colours = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{0, 138, 101, 255}, color.RGBA{190, 95, 150, 255},
	color.RGBA{214, 140, 0, 255}, color.RGBA{60, 160, 215, 255}, color.RGBA{60, 60, 60, 255}, color.RGBA{140, 120, 40, 255},
}

var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{},
}

var (
	ink   = color.RGBA{45, 48, 54, 255}
	faint = color.RGBA{228, 231, 235, 255}
	axis  = color.RGBA{150, 155, 162, 255}
)

func colour(i int) color.Color { return colours[i%len(colours)] }

func shape(i int) draw.GlyphDrawer { return shapes[i%len(shapes)] }

const figureWidth = 6.6 * vg.Inch

// newPlot is a plot in the house's style.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	sized := func(f *font.Font, size float64) { *f = sans; f.Size = vg.Points(size) }
	p.Title.Text = title
	sized(&p.Title.TextStyle.Font, 12.5)
	p.Title.TextStyle.Font.Weight = 3 // bold
	p.Title.TextStyle.Color = ink
	p.Title.Padding = vg.Points(9)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		sized(&a.Label.TextStyle.Font, 10.5)
		sized(&a.Tick.Label.Font, 10)
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.LineStyle.Color, a.Tick.LineStyle.Color = axis, axis
		a.LineStyle.Width, a.Tick.LineStyle.Width = vg.Points(0.7), vg.Points(0.7)
		a.Tick.Length = vg.Points(4)
		a.Label.Padding = vg.Points(4)
		a.Padding = vg.Points(4)
	}
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Tick.Marker, p.Y.Tick.Marker = shortTicks{}, shortTicks{}
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color, grid.Horizontal.Width = faint, vg.Points(0.7)
	p.Add(grid)
	return p
}

var (
	svgProlog = regexp.MustCompile(`(?s)^.*?<svg `)
	svgSize   = regexp.MustCompile(`<svg width="[^"]*" height="[^"]*"`)
	svgFamily = regexp.MustCompile(`font-family:Liberation Sans`)
)

// render draws a plot in both forms.
func render(name, caption, alt string, p *plot.Plot, height vg.Length, keys ...key) (figure, error) {
	f := figure{name: name, caption: caption, text: alt}
	height += strip(p, keys)
	svg := vgsvg.New(figureWidth, height)
	drawAll(p, padded(draw.New(svg)), keys)
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return f, err
	}
	f.svg = svgFamily.ReplaceAll(b.Bytes(), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif"))
	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(figureWidth, height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(color.White))}
	drawAll(p, padded(draw.New(png)), keys)
	b = bytes.Buffer{}
	if _, err := png.WriteTo(&b); err != nil {
		return f, err
	}
	f.png = b.Bytes()
	return f, nil
}

// key is one entry of the legend, which stands in rows below the plot, where it
// covers nothing.
type key struct {
	label string
	look  int
	shape draw.GlyphDrawer // nil = a bar
}

const (
	keyRow  = vg.Length(15)
	keyMark = vg.Length(20) // from an entry's beginning to its text
	keyGap  = vg.Length(16)
)

func legendText(p *plot.Plot) text.Style {
	s := p.X.Tick.Label
	s.XAlign, s.YAlign, s.Rotation = draw.XLeft, draw.YCenter, 0
	return s
}

// layout gives each entry its row and where it begins.
func layout(p *plot.Plot, keys []key, width vg.Length) (at []vg.Point, rows int) {
	style := legendText(p)
	x, row := vg.Length(0), 0
	for _, k := range keys {
		w := keyMark + style.Width(k.label)
		if x > 0 && x+w > width {
			x, row = 0, row+1
		}
		at = append(at, vg.Point{X: x, Y: vg.Length(row)})
		x += w + keyGap
	}
	return at, row + 1
}

const legendInset = vg.Length(34)

// strip is the height of the legend.
func strip(p *plot.Plot, keys []key) vg.Length {
	if len(keys) == 0 {
		return 0
	}
	_, rows := layout(p, keys, figureWidth-2*legendInset)
	return vg.Length(rows)*keyRow + 4
}

func drawAll(p *plot.Plot, c draw.Canvas, keys []key) {
	h := strip(p, keys)
	p.Draw(draw.Crop(c, 0, 0, h, 0))
	at, _ := layout(p, keys, figureWidth-2*legendInset)
	style := legendText(p)
	for i, k := range keys {
		left, y := c.Min.X+legendInset-6+at[i].X, c.Min.Y+h-4-at[i].Y*keyRow-keyRow/2
		if k.shape == nil {
			c.FillPolygon(colour(k.look), []vg.Point{{X: left, Y: y - 4}, {X: left + 14, Y: y - 4}, {X: left + 14, Y: y + 4}, {X: left, Y: y + 4}})
		} else {
			c.StrokeLine2(draw.LineStyle{Color: colour(k.look), Width: vg.Points(1.6)}, left, y, left+14, y)
			c.DrawGlyph(draw.GlyphStyle{Color: colour(k.look), Radius: vg.Points(2.8), Shape: k.shape}, vg.Point{X: left + 7, Y: y})
		}
		c.FillText(style, vg.Point{X: left + keyMark, Y: y}, k.label)
	}
}

func padded(c draw.Canvas) draw.Canvas {
	return draw.Crop(c, vg.Points(6), -vg.Points(10), vg.Points(6), -vg.Points(6))
}

// inline is the SVG as a part of a page: it takes the width that there is.
func (f *figure) inline() []byte {
	b := svgProlog.ReplaceAll(f.svg, []byte("<svg "))
	return svgSize.ReplaceAll(b, []byte(`<svg role="img" width="100%"`))
}

func writeFigures(dir string, figures []figure) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, f := range figures {
		if err := result.WriteFile(filepath.Join(dir, f.name+".svg"), f.svg); err != nil {
			return err
		}
		if err := result.WriteFile(filepath.Join(dir, f.name+".png"), f.png); err != nil {
			return err
		}
	}
	return nil
}

// series is a set of cells that are shown in one figure, with short names.
type series struct {
	key    string // for the file's name
	title  string
	cells  []int
	labels []string
}

// groups are the figures' sets of cells: where one factor at a time varies, one
// for each factor, as the origin's experiments; else all cells in one.
func (a *Analysis) groups() []series {
	p := a.Data.Plan
	if p.Design == plan.OneAtATime && len(p.Factors) > 1 {
		var all []series
		for f, x := range p.Factors {
			g := series{key: "-" + x.Name, title: ", by " + x.Name}
			for i, c := range a.Cells {
				if d := differBy(c.Levels, a.Cells[0].Levels); i == 0 || d == f {
					g.cells, g.labels = append(g.cells, i), append(g.labels, c.Levels[f])
				}
			}
			all = append(all, g)
		}
		return all
	}
	return []series{a.everything()}
}

func (a *Analysis) everything() series {
	g := series{}
	for i, c := range a.Cells {
		label := ""
		for k, l := range c.Levels {
			if k > 0 {
				label += " "
			}
			if l != "" && l[0] >= '0' && l[0] <= '9' && a.Data.Plan.Factors[k].Name != "size" {
				l = a.Data.Plan.Factors[k].Name + " " + l
			}
			label += l
		}
		if label == "" {
			label = c.ID
		}
		g.cells, g.labels = append(g.cells, i), append(g.labels, label)
	}
	return g
}

// figures draws them all.
func (a *Analysis) figures() ([]figure, error) {
	var all []figure
	add := func(f figure, err error) error {
		if err == nil && f.svg != nil {
			all = append(all, f)
		}
		return err
	}
	if a.Best < 0 {
		return nil, nil
	}
	for _, g := range a.groups() {
		if err := add(a.overRecords(g, 0, "fps", "Frame rate per record"+g.title, "frames per second")); err != nil {
			return nil, err
		}
	}
	for _, g := range a.groups() {
		if g.key == "-format" || g.key == "" {
			if err := add(a.overRecords(g, metricIndex(metricByKey("frame-bytes")), "size", "Frame size per record"+g.title, "kB per frame")); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range []func(series) (figure, error){a.estimates, a.latencies, a.stages, a.ages, a.losses, a.course} {
		if err := add(f(a.everything())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// overRecords is the origin's figure: a figure over the records of each setting.
func (a *Analysis) overRecords(g series, k int, name, title, label string) (figure, error) {
	m := &metrics[k]
	scale := 1.0
	if m.key == "frame-bytes" {
		scale = 1e-3
	}
	p := newPlot(title, "record", label)
	top := 0.0
	var keys []key
	for i, c := range g.cells {
		var xy plotter.XYs
		for n, r := range a.Cells[c].Rows {
			if v, ok := m.of(&r); ok {
				xy = append(xy, plotter.XY{X: float64(n + 1), Y: v * scale})
				top = max(top, v*scale)
			}
		}
		if len(xy) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(xy)
		if err != nil {
			return figure{}, err
		}
		line.Color, line.Width = colour(i), vg.Points(1.4)
		dots.Color, dots.Shape, dots.Radius = colour(i), shape(i), vg.Points(2.4)
		if len(xy) > 60 {
			dots.Radius = vg.Points(1.5)
		}
		p.Add(line, dots)
		keys = append(keys, key{g.labels[i], i, shape(i)})
	}
	p.Y.Min, p.Y.Max = 0, top*1.12
	p.X.Tick.Marker = wholeTicks{}
	return render(name+g.key, fmt.Sprintf("%s. Records in the order of the repeats; %v each.", title, a.Data.Plan.Length), title, p, 3.1*vg.Inch, keys...)
}

// shortTicks are the usual marks, with labels as short as they can be.
type shortTicks struct{}

func (shortTicks) Ticks(lo, hi float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(lo, hi)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'g', 6, 64)
		}
	}
	return ticks
}

// wholeTicks marks whole numbers only.
type wholeTicks struct{}

func (wholeTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for _, t := range (plot.DefaultTicks{}).Ticks(lo, hi) {
		if t.Value == math.Trunc(t.Value) {
			ticks = append(ticks, t)
		}
	}
	return ticks
}

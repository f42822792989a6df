package report

import (
	_ "embed"
	"fmt"
	"io"
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

//go:embed report.css
var css string

// write writes the page as one HTML file that needs no other. Texts are escaped by
// the library; only figures and the style sheet, both our own, go in as they are.
//
// It is no html/template because that calls methods by names which it learns at run
// time, for which the linker has to keep every exported method of the whole program.
func (v *view) write(w io.Writer) error {
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("generator"), h.Content("framepipe experiment report")),
			h.TitleEl(g.Text(v.Title+" – framepipe experiment")),
			h.StyleEl(g.Raw("\n"+css)),
		),
		h.Body(h.Main(
			h.Header(h.Div(h.Class("brand"), g.Text("framepipe experiment")), h.H1(g.Text(v.Title)), h.P(g.Text(v.Subtitle))),
			v.conclusion(),
			g.If(len(v.Warnings) > 0, h.Section(h.Class("warnings"), h.H2(g.Text("Mind this")), list(v.Warnings))),
			h.Div(h.Class("tiles"), g.Map(v.Tiles, func(t tile) g.Node {
				return h.Div(h.Class("tile"), h.B(g.Text(t.Value+" "+t.Unit)), h.Span(g.Text(t.Label)))
			})),
			g.If(len(v.Figures) > 0, h.Section(h.H2(g.Text("Figures")), h.Div(h.Class("figures"), g.Map(v.Figures, func(f viewFigure) g.Node {
				return h.Figure(h.ID(f.Name), h.Aria("label", f.Text), g.Raw(f.SVG), h.FigCaption(g.Text(f.Caption)))
			})))),
			v.settings(),
			v.comparisons(),
			h.Section(h.H2(g.Text("How it was measured")), list(v.Method)),
			v.provenance(),
		)),
	)).Render(w)
}

func list(items []string) g.Node {
	return h.Ul(g.Map(items, func(s string) g.Node { return h.Li(g.Text(s)) }))
}

func (v *view) conclusion() g.Node {
	found := h.P(g.Text("Nothing was measured yet."))
	if len(v.Findings) > 0 {
		found = list(v.Findings)
	}
	return h.Section(h.Class("conclusion"), h.H2(g.Text("What was found")), found, g.If(v.Best != "", g.Group{
		h.Div(h.Class("best"), h.B(g.Text("Best setting for this camera and link: "+v.Best+".")), g.Text(" To use it, type at the camera:"), h.Code(g.Text(v.Command))),
		small(v.Rule),
	}))
}

func small(s string) g.Node { return h.P(h.Class("small"), g.Text(s)) }

// table has one row of heads; left says which columns stand at the left (the first does anyway).
func table(heads []string, left string, body ...g.Node) g.Node {
	row := make(g.Group, len(heads))
	for i, s := range heads {
		row[i] = h.Th(g.If(i < len(left) && left[i] == 'l', h.Class("l")), g.Text(s))
	}
	return h.Div(h.Class("scroll"), h.Table(h.THead(h.Tr(row)), h.TBody(body...)))
}

// cells is a row of a table with these texts.
func cells(left string, texts ...string) g.Node {
	row := make(g.Group, len(texts))
	for i, s := range texts {
		row[i] = h.Td(g.If(i < len(left) && left[i] == 'l', h.Class("l")), g.Text(s))
	}
	return h.Tr(row)
}

func (v *view) settings() g.Node {
	heads := append(append([]string{"setting"}, v.Head...), "records")
	return h.Section(h.H2(g.Text("All settings")),
		table(heads, "", g.Map(v.Cells, func(c viewCell) g.Node {
			return h.Tr(g.If(c.Best, h.Class("best")),
				h.Td(h.Class("name"), g.Text(c.Name), g.Map(c.Marks, func(n int) g.Node {
					s := strconv.Itoa(n)
					return h.Sup(h.A(h.Href("#note-"+s), g.Text(s)))
				})),
				g.Map(c.Values, func(s string) g.Node { return h.Td(h.Class("v"), g.Text(s)) }),
				h.Td(g.Text(c.N)))
		})),
		small("Mean over the observations [95 % interval]; below it the median."),
		g.Iff(len(v.Notes) > 0, func() g.Node {
			notes := g.Group{h.Class("notes")}
			for i, n := range v.Notes {
				notes = append(notes, h.Li(h.Class("note"), h.ID(fmt.Sprintf("note-%d", i+1)), g.Text(n)))
			}
			return h.Ol(notes)
		}),
	)
}

func (v *view) comparisons() g.Node {
	const left = " ll     l"
	more := func(s string) g.Node {
		return g.If(s != "", g.Group{h.Br(), h.Span(h.Class("small"), g.Text(s))})
	}
	return g.If(len(v.Factors) > 0, h.Section(h.H2(g.Text("Comparisons")), g.Map(v.Factors, func(f viewFactor) g.Node {
		return g.Group{h.H3(g.Text("By " + f.Title)),
			table([]string{"figure", "of", "against", "difference", "95 % interval", "relative", "p, corrected", "effect", "verdict"}, left,
				g.Map(f.Rows, func(r viewContrast) g.Node {
					verdict := g.Text(r.Verdict)
					if r.Differs {
						verdict = h.Span(h.Class("yes"), g.Text("differs"))
					}
					return h.Tr(
						h.Td(g.Text(r.Metric), more(r.Given)), h.Td(h.Class("l"), g.Text(r.B)), h.Td(h.Class("l"), g.Text(r.A)),
						h.Td(g.Text(r.Difference)), h.Td(g.Text(r.Interval)), h.Td(g.Text(r.Relative)), h.Td(g.Text(r.P)), h.Td(g.Text(r.Effect)),
						h.Td(h.Class("l"), verdict, more(r.Warnings)))
				}))}
	})))
}

func (v *view) provenance() g.Node {
	return h.Section(h.H2(g.Text("Manifest")),
		table([]string{"", "camera's side", "receiver's side"}, " ll", g.Map(v.Manifest, func(r viewRow) g.Node {
			return cells(" ll", r.Name, r.Camera, r.Receiver)
		})),
		g.If(len(v.Visits) > 0, g.Group{h.H3(g.Text("Out of the ordinary")),
			table([]string{"time (UTC)", "setting", "repeat", "what", "why"}, " l ll", g.Map(v.Visits, func(r viewVisit) g.Node {
				return cells(" l ll", r.Time, r.Cell, r.Repeat, r.Event, r.Text)
			}))}),
		h.H3(g.Text("Plan")), h.Pre(g.Text(v.Plan)),
		h.P(h.Class("small"), g.Text("Made from the raw files in this folder by "), h.Code(h.Class("inline"), g.Text("framepipe experiment report DIR")),
			g.Text("; records.csv, frames-*.csv.zst and visits.jsonl hold everything that is shown here, bench.txt is for benchstat.")),
	)
}

package main

import "fmt"

// A goal is what a cell must reach, absolutely or against what the origin did in
// the same matrix.
type goal struct {
	cell    spec
	against *spec // nil: absolute
	unit    string
	atLeast bool // else at most
	bound   float64
	// same: only indistinguishable or better is asked for; bound has no meaning.
	same bool
	text string
}

func goals() []goal {
	at := func(link string, v variant, f frameCase) spec {
		for _, l := range links {
			if l.name == link {
				return spec{link: l, variant: v, frame: f}
			}
		}
		panic("no link " + link)
	}
	block, gated := variants[0], variants[3]
	target := gated
	target.target = targetLatency
	viewer, page := viewerSpecs(0)[1], viewerSpecs(0)[3]
	b, bBlock := at("b", gated, frame230), at("b", block, frame230)
	a, aBlock := at("a", gated, frame67), at("a", block, frame67)
	apart, apartBlock := a, aBlock
	apart.apart, apartBlock.apart = true, true
	c, d, e, f := at("c", gated, frame67), at("d", gated, frame67), at("e", target, frame67), at("f", gated, frame67)
	dTarget, fast := at("d", target, frame67), at("b", gated, frame120)
	const bText, eText = "b, 230 kB raw", "e, 67 kB, target latency 80 ms"
	return []goal{
		{b, &bBlock, "p50-ms", false, 0.2, false, bText}, {b, &bBlock, "fps", true, 0.95, false, bText},
		{c, nil, "fps", true, 29, false, "c, 67 kB"}, {c, nil, "age99-ms", false, 110, false, "c, 67 kB"},
		{d, nil, "fps", true, 28, false, "d, 67 kB"}, {d, nil, "age99-ms", false, 130, false, "d, 67 kB"},
		{dTarget, nil, "kB/frame", true, 25, false, "d, 67 kB, target latency 80 ms"},
		{e, nil, "fps", true, 29, false, eText}, {e, nil, "p99-ms", false, 60, false, eText},
		{e, nil, "max-ms", false, 100, false, eText}, {e, nil, "recover-s", false, 3, false, eText},
		{f, nil, "agemax-ms", false, 1150, false, "f, 67 kB"},
		{viewer, nil, "p50-ms", false, 110, false, "HTTP viewer behind tbf, 278 kB"}, {viewer, nil, "p95-ms", false, 140, false, "HTTP viewer behind tbf, 278 kB"},
		{viewer, nil, "fps", true, 14, false, "HTTP viewer behind tbf, 278 kB"},
		{page, nil, "p50-ms", false, 110, false, "WebSocket viewer behind tbf, 278 kB"}, {page, nil, "p95-ms", false, 140, false, "WebSocket viewer behind tbf, 278 kB"},
		{page, nil, "fps", true, 14, false, "WebSocket viewer behind tbf, 278 kB"},
		{fast, nil, "fps", true, 117, false, "b, 20 kB at 120 fps"}, {fast, nil, "p95-ms", false, 12, false, "b, 20 kB at 120 fps"},
		{a, &aBlock, "fps", true, 0, true, "a, 67 kB"}, {a, &aBlock, "p50-ms", false, 0, true, "a, 67 kB"},
		{a, &aBlock, "age99-ms", false, 0, true, "a, 67 kB"}, {apart, &apartBlock, "cpu-us/frame", false, 1.1, false, "a, 67 kB, the sender alone"},
	}
}

// wants says the bound.
func (g goal) wants() string {
	sign := "≤"
	if g.atLeast {
		sign = "≥"
	}
	switch {
	case g.same:
		return "as block+cubic or better"
	case g.against != nil:
		return fmt.Sprintf("%s %g × block+cubic's", sign, g.bound)
	}
	return fmt.Sprintf("%s %g", sign, g.bound)
}

// check holds a goal against what was measured: the figure, what it is compared
// with, and the verdict; "not measured" where there is nothing.
func (g goal) check(t *table) (got, origin, verdict string) {
	origin = "–"
	c := t.cell(g.cell.Name())
	e, ok := c.estimate(g.unit)
	if !ok {
		return "–", origin, "not measured"
	}
	got = e.String()
	bound := g.bound
	var o *cell
	if g.against != nil {
		o = t.cell(g.against.Name())
		eo, ok := o.estimate(g.unit)
		if !ok {
			return got, origin, "not comparable"
		}
		origin = eo.String()
		if bound *= eo.median; g.same {
			bound = eo.median
		}
	}
	reached := e.median <= bound
	if g.atLeast {
		reached = e.median >= bound
	}
	if g.same && !reached {
		p, ok := differs(c, o, g.unit)
		reached = ok && p >= 1-confidence
		return got, origin, yesNo(reached) + fmt.Sprintf(" (p = %.2f)", p)
	}
	return got, origin, yesNo(reached)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

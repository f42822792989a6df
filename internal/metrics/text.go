package metrics

import (
	"cmp"
	"math"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/munnerz/goautoneg"

	"framepipe/measure"
)

// The text is written here and not by prometheus/client_golang, which brings
// protobuf and is 1.7 MB, a ninth of the program, for what are lines of a name and a
// number. Tests hold it to that library: its parser reads what is written, its
// linter has nothing to say, and the series of the runtime and the process are its.

// kind is what Prometheus calls a metric's type.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
	summary   kind = "summary"
)

// family is a metric's name with what holds for all its series.
type family struct {
	name   string // whole; a counter's ends in _total
	help   string
	kind   kind
	labels []string // names
	index  int      // in page.samples
}

// families are all that exist.
var families []*family

// byName are families in the order of their names, as they are written.
var byName = sync.OnceValue(func() []*family {
	all := slices.Clone(families)
	slices.SortFunc(all, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	return all
})

func declare(k kind, name, help string, labels ...string) *family {
	f := &family{name: name, help: help, kind: k, labels: labels, index: len(families)}
	families = append(families, f)
	return f
}

// syntax is one of the two ways to write a page.
type syntax struct {
	contentType string
	open        bool // OpenMetrics
}

// Sources: Prometheus, "Exposition formats" (text format 0.0.4); OpenMetrics 1.0.0.
var (
	plain       = syntax{"text/plain; version=0.0.4; charset=utf-8", false}
	openMetrics = syntax{"application/openmetrics-text; version=1.0.0; charset=utf-8", true}
)

// negotiate chooses by an Accept header (RFC 9110, 12.5.1); plain where nothing that
// is written here is asked for.
func negotiate(accept string) syntax {
	for _, a := range goautoneg.ParseAccept(accept) {
		switch v := a.Params["version"]; a.Type + "/" + a.SubType {
		case "application/openmetrics-text":
			if v == "" || v == "1.0.0" || v == "0.0.1" {
				return openMetrics
			}
		case "text/plain":
			if v == "" || v == "0.0.4" {
				return plain
			}
		}
	}
	return plain
}

// page collects the samples of one scrape, by family: a format wants those of one
// name together, while they are read by camera. Its memory serves the next scrape.
type page struct {
	syntax
	samples [][]byte // by family.index
	figures []metrics.Sample
	out     []byte
}

func (p *page) begin(s syntax) {
	p.syntax = s
	p.samples = slices.Grow(p.samples, len(families))[:len(families)]
	for i := range p.samples {
		p.samples[i] = p.samples[i][:0]
	}
}

// end is the page, which is valid until the next begin.
func (p *page) end() []byte {
	b := p.out[:0]
	for _, f := range byName() {
		if len(p.samples[f.index]) == 0 {
			continue
		}
		name := f.name
		if p.open { // there the family of a counter is called without the suffix of its only sample
			name = strings.TrimSuffix(name, "_total")
		}
		b = append(b, "# HELP "...)
		b = append(b, name...)
		b = append(b, ' ')
		b = escape(b, f.help, p.open)
		b = append(b, "\n# TYPE "...)
		b = append(b, name...)
		b = append(b, ' ')
		b = append(b, f.kind...)
		b = append(b, '\n')
		b = append(b, p.samples[f.index]...)
	}
	if p.open {
		b = append(b, "# EOF\n"...)
	}
	p.out = b
	return b
}

// sample is one line: the family's name with suffix, labels, a value. extra is one
// more label where its name is not empty.
func (p *page) sample(f *family, suffix, extra, extraValue string, v float64, labels []string) {
	b := p.series(f, suffix, extra, extraValue, labels)
	p.samples[f.index] = append(p.number(b, v), '\n')
}

// count is a sample whose value is a whole number in both formats.
func (p *page) count(f *family, suffix, extra, extraValue string, n uint64, labels []string) {
	b := p.series(f, suffix, extra, extraValue, labels)
	p.samples[f.index] = append(strconv.AppendUint(b, n, 10), '\n')
}

// series is a line up to its value.
func (p *page) series(f *family, suffix, extra, extraValue string, labels []string) []byte {
	if len(labels) != len(f.labels) {
		panic("metrics: " + f.name + " with " + strconv.Itoa(len(labels)) + " labels")
	}
	b := append(p.samples[f.index], f.name...)
	b = append(b, suffix...)
	sep := byte('{')
	pair := func(name, value string) {
		b = append(b, sep)
		sep = ','
		b = append(b, name...)
		b = append(b, `="`...)
		b = escape(b, printable(value), true)
		b = append(b, '"')
	}
	for i, l := range labels {
		pair(f.labels[i], l)
	}
	if extra != "" {
		pair(extra, extraValue)
	}
	if sep == ',' {
		b = append(b, '}')
	}
	return append(b, ' ')
}

func (p *page) put(f *family, v float64, labels ...string) { p.sample(f, "", "", "", v, labels) }

// delays writes a histogram; nothing before the first delay.
func (p *page) delays(f *family, of *measure.Delays, labels ...string) {
	var n uint64
	for _, c := range of.Counts {
		n += c
	}
	if n == 0 {
		return
	}
	var upTo uint64
	for i, c := range of.Counts {
		upTo += c
		bound := math.Inf(1)
		if i < len(measure.DelayBounds) {
			bound = measure.DelayBounds[i].Seconds()
		}
		p.count(f, "_bucket", "le", string(p.number(nil, bound)), upTo, labels)
	}
	p.sample(f, "_sum", "", "", of.Sum.Seconds(), labels)
	p.count(f, "_count", "", "", n, labels)
}

// number is as strconv writes it; OpenMetrics' canonical numbers have a point, with
// which bounds of buckets keep one name.
func (p *page) number(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	case math.IsNaN(v):
		return append(b, "NaN"...)
	}
	from := len(b)
	b = strconv.AppendFloat(b, v, 'g', -1, 64)
	if p.open && !strings.ContainsAny(string(b[from:]), ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// escape appends s as both formats want it; quotes are escaped in labels, and in
// OpenMetrics' help texts too.
func escape(b []byte, s string, quotes bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '"' && quotes:
			b = append(b, `\"`...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// printable makes a text of a peer fit for a label: valid UTF-8, and short.
func printable(s string) string {
	const most = 100
	n := min(len(s), most)
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "?")
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report makes the table and the plots from rows.
func report(from, out string) error {
	t, err := readTable(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	plots, err := plotAll(t, out)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Clean(out)+".md", []byte(t.markdown(filepath.Base(filepath.Clean(out)), plots)), 0o666)
}

func (e estimate) String() string {
	if num(e.lo) == num(e.hi) {
		return num(e.median)
	}
	return fmt.Sprintf("%s [%s–%s]", num(e.median), num(e.lo), num(e.hi))
}

// num shows three digits that count.
func num(v float64) string {
	switch {
	case v != 0 && v < 10 && v > -10:
		return fmt.Sprintf("%.2g", v)
	case v < 100:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return fmt.Sprintf("%.0f", v)
}

// columns of the tables by frame.
var columns = []struct{ unit, head string }{
	{"fps", "fps"}, {"p50-ms", "p50 ms"}, {"p95-ms", "p95 ms"}, {"p99-ms", "p99 ms"}, {"max-ms", "max ms"},
	{"age50-ms", "age p50 ms"}, {"age99-ms", "age p99 ms"}, {"agemax-ms", "age max ms"}, {"kB/frame", "kB/frame"},
	{"cpu-us/frame", "CPU µs/frame"}, {"rescues", "rescues"}, {"dropped", "dropped"}, {"lost", "lost"},
}

// limits says what no sender can change.
const limits = `
What bounds these: no frame arrives before it is through. On 35 Mbit/s and 5 ms, 230 kB take 58 ms, 67 kB 21 ms, 20 kB 10 ms (11 where the size is 15 % above the mean); on 8 Mbit/s, 67 kB take 72 ms. How late ` + "`block`" + ` is in overload
depends on how much the kernel lets a socket hold beside the link's own queue of 1 MB (230 ms): on this page's runs so far it has been between 190 and 490 ms with different kernels, while ours stayed at 92 ms; a fifth of the smaller one is less than a frame takes.
The emulator wakes each half millisecond at best, once in each direction, and shares two processors with what it measures: differences of a few milliseconds in the 95 and 99 % figures are within that.
`

// markdown is the page; folder is where the plots are, as seen from it.
func (t *table) markdown(folder string, plots []plotFile) string {
	var b strings.Builder
	b.WriteString("# Links\n\nHow the policies of `framepipe send` fare on bad links. Made by `go run ./test/links` from [" + folder + "/links.txt](" + folder +
		"/links.txt); edit neither.\n\n")
	t.conditions(&b)
	b.WriteString("\n## The goals\n\nMedians [interval] of `gated` with bbr, and of `block` with cubic, which is what the origin did.\n\n")
	b.WriteString("| case | figure | wanted | measured | block+cubic | reached |\n|---|---|---|---|---|---|\n")
	for _, g := range goals() {
		got, origin, verdict := g.check(t)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", g.text, g.unit, g.wants(), got, origin, verdict)
	}
	b.WriteString(limits)
	b.WriteString("\n## Figures\n")
	for _, group := range t.groups() {
		fmt.Fprintf(&b, "\n### %s\n\n", group.title)
		for _, p := range plots {
			if p.group == group.key {
				fmt.Fprintf(&b, "![%s](%s/%s.svg)\n\n", group.title, folder, p.name)
			}
		}
		group.table(&b)
	}
	return b.String()
}

// conditions says how and where it was measured.
func (t *table) conditions(b *strings.Builder) {
	for _, kv := range [][2]string{{"Machine", t.get("cpu")}, {"Processors", t.get("cpus")}, {"Kernel", t.get("kernel")}, {"Go", t.get("go")},
		{"Date", t.get("date")}, {"Load when it began", t.get("load")}, {"Repetitions", t.get("repetitions")}} {
		if kv[1] == "" {
			kv[1] = "not known"
		}
		fmt.Fprintf(b, "- %s: %s\n", kv[0], kv[1])
	}
	fmt.Fprintf(b, "- Measured by: `%s`; measure again with it, or by `make bench-links`\n", t.get("command"))
	rows, repeats, lowest := 0, 0, 1.0
	var spoiled []string
	for _, c := range t.cells {
		rows += c.rows + c.spoiled
		repeats += c.repeats
		if c.spoiled > 0 {
			spoiled = append(spoiled, fmt.Sprintf("%d of %s", c.spoiled, c.name))
		}
		for unit := range c.values {
			if e, ok := c.estimate(unit); ok && unit == "fps" {
				lowest = min(lowest, e.confidence)
			}
		}
	}
	fmt.Fprintf(b, "- Runs: %d. The emulator spoiled %d more by being late, which were made again", rows, repeats)
	if len(spoiled) > 0 {
		fmt.Fprintf(b, "; of those, these were given up after as many repeats as allowed and give no figures: %s", strings.Join(spoiled, ", "))
	}
	b.WriteString("\n- Intervals: ")
	if lowest >= confidence {
		b.WriteString("95 %")
	} else {
		fmt.Fprintf(b, "the range of all runs, which with the fewest runs of a row holds the true median with %.0f %%: six runs are needed for 95 %%", lowest*100)
	}
	b.WriteString(`

Latency is from the capture stamp to the last byte read, of delivered frames only. Age is that of the newest frame that was shown, sampled each 2 ms: it counts
drops and standstills, so it is the honest figure. The first second of each run is left out. CPU is that of both ends together, without
the emulator, unless said. Repetition i of every
row meets the same link and the same sizes (seed i); all rows of a repetition run in random order. The links are emulated (`)
	b.WriteString("`internal/netem`" + `), with the kernel's real TCP at both ends:

| link | properties |
|---|---|
`)
	for _, c := range t.config {
		if name, ok := strings.CutPrefix(c.Key, "link-"); ok {
			fmt.Fprintf(b, "| %s | %s |\n", name, c.Value)
		}
	}
}

// group is what is shown together: one kind of frame.
type group struct {
	key, title string
	cells      []*cell
}

func (t *table) groups() []group {
	var list []group
	for _, c := range t.cells {
		key := c.part("frame") + "-" + c.part("fps") + "fps"
		title := fmt.Sprintf("%s at %s fps", c.part("frame"), c.part("fps"))
		if v := c.part("viewer"); v != "" {
			key, title = "viewer", "A slow "+strings.ToUpper(v)+" viewer, "+title
		}
		if c.part("sender") == "apart" {
			key, title = key+"-apart", title+", the sender in a process of its own: CPU is the sender's alone"
		}
		i := slices.IndexFunc(list, func(g group) bool { return g.key == key })
		if i < 0 {
			i = len(list)
			list = append(list, group{key: key, title: title})
		}
		list[i].cells = append(list[i].cells, c)
	}
	slices.SortFunc(list, func(a, b group) int { return strings.Compare(a.key, b.key) })
	for _, g := range list {
		slices.SortStableFunc(g.cells, func(a, b *cell) int {
			if d := strings.Compare(a.part("link"), b.part("link")); d != 0 {
				return d
			}
			return variantOrder(a) - variantOrder(b)
		})
	}
	return list
}

// part is a part of a benchmark's name, "" if it has none of that key.
func (c *cell) part(key string) string {
	for _, p := range strings.Split(c.name, "/") {
		if k, v, ok := strings.Cut(p, "="); ok && k == key {
			return v
		}
	}
	return ""
}

// variant is what the cell's sender did.
func (c *cell) variant() string {
	if v := c.part("viewer"); v != "" {
		return v
	}
	s := c.part("policy") + "+" + c.part("congestion")
	if d := c.part("target"); d != "" {
		s += "+target=" + d
	}
	if c.part("rto") != "" {
		s += "+rto=" + c.part("rto")
	}
	return s
}

// variantOrder is that of the matrix; those with a target come last.
func variantOrder(c *cell) int {
	i := slices.IndexFunc(variants, func(v variant) bool { return v.String() == c.variant() })
	if i < 0 {
		return len(variants)
	}
	return i
}

func (g group) table(b *strings.Builder) {
	b.WriteString("| link | sender | runs |")
	for _, c := range columns {
		b.WriteString(" " + c.head + " |")
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, c := range g.cells {
		fmt.Fprintf(b, "| %s | %s | %d |", c.part("link"), c.variant(), c.rows)
		for _, col := range columns {
			text := "–"
			if e, ok := c.estimate(col.unit); ok {
				text = e.String()
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteString("\n")
	}
}

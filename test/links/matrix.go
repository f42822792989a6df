package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"
)

// maxRepeats is how often a run that the emulator spoiled is made again.
const maxRepeats = 3

// matrix is what to measure.
type matrix struct {
	specs    []spec
	reps     int
	seed     uint64
	command  string        // that makes it
	patience time.Duration // after so long, spoiled runs are not repeated; 0 = always
}

// measure runs every cell in each repetition, in a new random order each time, so
// that what drifts hits all alike, and writes rows as they come.
func (m *matrix) measure(ctx context.Context, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := m.head(out); err != nil {
		return err
	}
	began := time.Now()
	order := rand.New(rand.NewPCG(m.seed, 0x0de7))
	total, done := m.reps*len(m.specs), 0
	for rep := range m.reps {
		for _, i := range order.Perm(len(m.specs)) {
			c := m.specs[i]
			repeats := maxRepeats
			if m.patience > 0 && time.Since(began) > m.patience {
				repeats = 0
			}
			row, err := m.row(ctx, c, uint64(rep+1), repeats)
			if errors.Is(err, errNotHere) {
				row, err = "# not measured: "+strings.ReplaceAll(err.Error(), "\n", "; "), nil
			}
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(out, row); err != nil {
				return err
			}
			done++
			fmt.Fprintf(os.Stderr, "%d of %d, %v: %s\n", done, total, time.Since(began).Round(time.Second), row)
		}
	}
	fmt.Fprintf(out, "# took %v\n", time.Since(began).Round(time.Second))
	return out.Close()
}

// row measures one cell, again while the emulator spoils it.
func (m *matrix) row(ctx context.Context, c spec, seed uint64, most int) (string, error) {
	for repeats := 0; ; repeats++ {
		r, err := once(ctx, c, seed)
		if err != nil {
			return "", err
		}
		spoiled := r.net.Spoiled()
		if spoiled && repeats < most {
			continue
		}
		if spoiled { // its timing is not to be trusted, so it gives no figures
			return formatRow(c.Name(), []value{{millis(r.net.Lateness), "late-ms"}, {float64(repeats), "repeats"}, {1, "spoiled"}}), nil
		}
		return formatRow(c.Name(), append(r.values(), value{float64(repeats), "repeats"}, value{0, "spoiled"})), nil
	}
}

// formatRow is one line of the Go benchmark format.
func formatRow(name string, values []value) string {
	var b strings.Builder
	b.WriteString("Benchmark" + name + " 1")
	for _, v := range values {
		fmt.Fprintf(&b, " %.4g %s", v.v, v.unit)
	}
	return b.String()
}

// head describes machine, matrix and units.
func (m *matrix) head(w io.Writer) error {
	var b strings.Builder
	for _, kv := range [][2]string{
		{"goos", runtime.GOOS}, {"goarch", runtime.GOARCH}, {"cpu", cpuModel()}, {"cpus", fmt.Sprint(runtime.NumCPU())},
		{"kernel", firstLine("/proc/sys/kernel/osrelease")}, {"go", runtime.Version()}, {"date", time.Now().UTC().Format(time.DateOnly)},
		{"load", firstLine("/proc/loadavg")}, {"repetitions", fmt.Sprint(m.reps)}, {"command", m.command},
	} {
		if kv[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", kv[0], kv[1])
		}
	}
	seen := map[string]bool{}
	for _, c := range m.specs {
		if !seen[c.link.name] {
			seen[c.link.name] = true
			fmt.Fprintf(&b, "link-%s: %s", c.link.name, c.link.text)
			if c.link.spec != "" {
				fmt.Fprintf(&b, " (%s)", c.link.spec)
			}
			b.WriteByte('\n')
		}
	}
	for _, u := range units {
		fmt.Fprintf(&b, "Unit %s better=%s\n", u[0], u[1])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func firstLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "" // not known
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// cpuModel is what the kernel calls the processor.
func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			switch strings.TrimSpace(k) {
			case "model name", "Model":
				return strings.TrimSpace(v)
			}
		}
	}
	return ""
}

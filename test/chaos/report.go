//go:build linux

package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

func (r *result) line() string {
	verdict := "ok  "
	if len(r.Failures) > 0 {
		verdict = "FAIL"
	}
	s := fmt.Sprintf("%s seed %d %s (%s): back after %.2f s, ends in %.2f s, offered %d, lost %s", verdict, r.Seed, r.Fault, r.Detail, r.Recovery.Seconds(), r.Stop.Seconds(), r.Offered, causes(r.Lost))
	for _, f := range r.Failures {
		s += "\n     " + f
	}
	return s
}

func causes(lost map[string]uint64) string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(lost)) {
		if lost[c] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", strings.ReplaceAll(c, "_", " "), lost[c]))
		}
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

// table is a row for each kind, made from the results alone.
func table(results []result) string {
	var b strings.Builder
	b.WriteString("| fault | tried | failed | back after, s: p50 | max | frames offered | lost, by cause | lost silently |\n|---|---|---|---|---|---|---|---|\n")
	total, silent := 0, uint64(0)
	for _, f := range faults {
		var back []time.Duration
		lost := map[string]uint64{}
		var offered, quiet uint64
		tried, failed := 0, 0
		for _, r := range results {
			if r.Fault != f.name {
				continue
			}
			tried++
			if len(r.Failures) > 0 {
				failed++
			}
			if r.Recovery > 0 {
				back = append(back, r.Recovery)
			}
			offered += r.Offered
			quiet += r.Silent
			for c, n := range r.Lost {
				lost[c] += n
			}
		}
		if tried == 0 {
			continue
		}
		total += tried
		silent += quiet
		p50, most := "–", "–"
		if len(back) > 0 {
			slices.Sort(back)
			p50, most = fmt.Sprintf("%.2f", back[(len(back)-1)/2].Seconds()), fmt.Sprintf("%.2f", back[len(back)-1].Seconds())
		}
		fmt.Fprintf(&b, "| %s: %s | %d | %d | %s | %s | %d | %s | %d |\n", f.name, f.text, tried, failed, p50, most, offered, causes(lost), quiet)
	}
	var stop time.Duration
	for _, r := range results {
		stop = max(stop, r.Stop)
	}
	fmt.Fprintf(&b, "\n%d trials; %d frames lost silently; the longest end after SIGTERM took %.2f s.\n", total, silent, stop.Seconds())
	return b.String()
}

// Marks between which a file is made by this program.
const (
	chaosMark = "chaos"
	soakMark  = "soak"
)

// replace puts text between the marks of a file.
func replace(name, mark, text string) error {
	begin, end := "<!-- "+mark+": what follows is made by test/chaos -->\n", "<!-- end of "+mark+" -->\n"
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the marks %q and %q", name, begin, end)
	}
	return os.WriteFile(name, []byte(before+begin+"\n"+text+"\n"+end+after), 0o666)
}

// write puts the table into a file.
func write(name string, results []result, took time.Duration, command string) error {
	return replace(name, chaosMark, machine(took, command)+fmt.Sprintf(" Seeds %d to %d.\n\n", results[0].Seed, results[len(results)-1].Seed)+table(results))
}

// machine says where and how something was measured.
func machine(took time.Duration, command string) string {
	kernel, _ := exec.Command("uname", "-sr").Output()
	cpu := "CPU unknown"
	for line := range strings.Lines(readFile("/proc/cpuinfo")) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			cpu = strings.TrimSpace(v)
		}
	}
	return fmt.Sprintf("%s, %d processors (%s), %s, %s: `%s`, %v.", time.Now().Format("2006-01-02"), runtime.NumCPU(), cpu, strings.TrimSpace(string(kernel)), runtime.Version(), command, took.Round(time.Second))
}

func readFile(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

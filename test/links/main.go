// Command links measures the sender's policies on bad links: real senders and
// receivers with the kernel's real TCP over an emulated link ([internal/netem]),
// both ends in this process, so that one clock stamps capture and last byte. It
// writes raw rows in Go benchmark format, and makes the table and the plots from
// those rows alone, so that they can be made again without measuring.
//
//	go run ./test/links -out docs/links              the whole matrix: two hours
//	go run ./test/links -out docs/links -quick       what the goals are about: ten minutes
//	go run ./test/links -from docs/links/links.txt -out docs/links
//
// It measures transport: its camera makes frames of random bytes of a given size
// and costs nothing. Its links are no model of a radio. Frames belong to the
// camera's pool until their last release; nothing else is shared between runs.
// A run that the emulator spoiled by being late is repeated, and one whose ledger
// does not balance is an error, never a row.
//
// It needs Linux, root and what internal/netem needs. Sources: the Go benchmark
// format, golang.org/design/14313-benchmark-format; the intervals are those of
// golang.org/x/perf/benchmath, which assume no distribution.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "links:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var s selection
	out := flag.String("out", "", "folder for links.txt and plots; the table is written beside it as FOLDER.md")
	from := flag.String("from", "", "measure nothing: make table and plots from this links.txt")
	flag.BoolVar(&s.quick, "quick", false, "only the rows that the goals are about, 3 repetitions")
	flag.BoolVar(&s.rto, "rto", false, "only the rows that compare the floor of the retransmission timeout with the kernel's own")
	reps := flag.Int("reps", 0, "repetitions; 0 = 6, the fewest that give an interval of 95 %, or 3 with -quick")
	seed := flag.Uint64("seed", 1, "of the order of runs; run i of a case uses seed i for link and sizes")
	duration := flag.Duration("duration", 7*time.Second, "of a run, its first second included, which is left out")
	cases := flag.String("cases", "", "only these links, as in b,c; viewer and tbf are the slow viewer")
	policies := flag.String("policies", "", "only these policies, as in gated,block+cubic")
	frames := flag.String("frames", "", "only these frames, as in 67kB,20kB@120")
	child := flag.String("job", "", "for this program's own use")
	flag.Parse()
	if *child != "" {
		return doJob(ctx, *child, os.Stdout)
	}
	if *out == "" || flag.NArg() > 0 {
		return fmt.Errorf("want -out FOLDER, and no arguments; see -h")
	}
	s.links, s.policies, s.frames = list(*cases), list(*policies), list(*frames)
	if *from != "" {
		return report(*from, *out)
	}
	specs, err := s.specs(*duration)
	if err != nil {
		return err
	}
	if *reps == 0 {
		*reps = 6
		if s.quick {
			*reps = 3
		}
	}
	if err := os.MkdirAll(*out, 0o777); err != nil {
		return err
	}
	raw := filepath.Join(*out, "links.txt")
	m := matrix{specs: specs, reps: *reps, seed: *seed, command: "go run ./test/links " + strings.Join(os.Args[1:], " ")}
	if s.quick {
		m.patience = 10 * time.Minute
	}
	if err := m.measure(ctx, raw); err != nil {
		return err
	}
	return report(raw, *out)
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

//go:build linux

// Command chaos breaks framepipe on purpose and looks whether it mends itself. Both
// sides run as processes of their own, each in a network namespace, the sender with
// a monotonic clock of its own, on an emulated link. One trial is one fault, whose
// every random choice follows from its seed:
//
//	go run ./test/chaos                              200 trials, seeds 1 and on
//	go run ./test/chaos -seed 17 -fault kill-send    this one again
//	go run ./test/chaos -out docs/reliability.md     and the table
//
// After the fault, a frame that was captured after the cause's end must reach a
// viewer, and more behind it; both processes must hold what they held before; both
// must end in order; and what sender, receiver, records, frame log and recording say
// of the frames must agree to the frame.
//
// It needs Linux, root, what internal/netem needs, iproute2 (ss) and e2fsprogs. It
// changes nothing outside of its namespaces but mounts below its own temporary folders, and
// a control group of its own for the disk that is slow.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"framepipe/internal/netem"
	"framepipe/test/release"
)

func main() {
	beSomebodyElse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := chaos(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func chaos(ctx context.Context) error {
	runs := flag.Int("runs", 200, "trials; kinds take turns")
	seed := flag.Uint64("seed", 0, "only the trial of this seed; 0 = seeds from -first on")
	first := flag.Uint64("first", 1, "seed of the first trial")
	only := flag.String("fault", "", "only this kind, or several with commas between")
	jobs := flag.Int("jobs", 3, "trials at once, each on a link of its own")
	program := flag.String("program", "", "framepipe to be tried; built from here if empty")
	long := flag.Duration("soak", 0, "no faults: run both sides for so long, and see whether anything grows")
	out := flag.String("out", "", "write the table to this file, between its marks")
	raw := flag.String("raw", "build/chaos", "folder for results and for what programs said whose trial failed")
	flag.Parse()
	if err := netem.Possible(); err != nil {
		return err
	}
	kinds := faults
	if *only != "" {
		kinds = nil
		for _, name := range strings.Split(*only, ",") {
			i := slices.IndexFunc(faults, func(f *fault) bool { return f.name == name })
			if i < 0 {
				return fmt.Errorf("there is no fault %q", name)
			}
			kinds = append(kinds, faults[i])
		}
	}
	if *program == "" {
		dir, err := os.MkdirTemp("", "framepipe-chaos-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		*program = filepath.Join(dir, "framepipe")
		if err := release.Build(*program, "chaos"); err != nil {
			return err
		}
	}
	if *long > 0 {
		began := time.Now()
		text, err := soak(ctx, *program, *long, max(2*time.Second, *long/120), max(1, *seed), *raw)
		fmt.Print(text)
		if err == nil && *out != "" {
			err = replace(*out, soakMark, machine(time.Since(began), "go run ./test/chaos "+strings.Join(os.Args[1:], " "))+"\n\n"+text)
		}
		return err
	}
	if *seed != 0 {
		*first, *runs = *seed, 1
		if len(kinds) > 1 {
			kinds = []*fault{faults[int(*seed-1)%len(faults)]} // as in a run of all
		}
	}
	began := time.Now()
	results := trials(ctx, *program, kinds, *first, *runs, *jobs, *raw)
	if err := save(filepath.Join(*raw, "results.jsonl"), results); err != nil {
		return err
	}
	fmt.Println()
	fmt.Print(table(results))
	failed := 0
	for _, r := range results {
		if len(r.Failures) > 0 {
			failed++
		}
	}
	fmt.Printf("\n%d trials in %v, %d failed\n", len(results), time.Since(began).Round(time.Second), failed)
	if *out != "" {
		if err := write(*out, results, time.Since(began), "go run ./test/chaos "+strings.Join(os.Args[1:], " ")); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d trials failed", failed, len(results))
	}
	return ctx.Err()
}

// trials carries them out, and says how each went as it ends.
func trials(ctx context.Context, program string, kinds []*fault, first uint64, runs, jobs int, keep string) []result {
	next := make(chan int)
	results := make([]result, runs)
	ran := make([]bool, runs)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range jobs {
		wg.Go(func() {
			for i := range next {
				s := first + uint64(i)
				r := run(ctx, program, kinds[int(s-1)%len(kinds)], s, keep)
				mu.Lock()
				results[i], ran[i] = r, true
				fmt.Println(r.line())
				mu.Unlock()
			}
		})
	}
	for i := 0; i < runs && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	var out []result
	for i := range results {
		if ran[i] {
			out = append(out, results[i])
		}
	}
	return out
}

func save(name string, results []result) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, r := range results {
		err = errors.Join(err, enc.Encode(r))
	}
	return errors.Join(err, f.Close())
}

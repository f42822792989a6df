package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runner carries out steps and keeps the books. It is used by one goroutine.
type runner struct {
	out       io.Writer
	noSkip    bool   // a skipped test or step fails the run
	goRelease string // what releases are made with, as "go1.26.1"
	nice      bool   // commands give way to others

	passed, failed, skipped int      // tests and steps
	failures                []string // what failed, one line each
	notRun                  []string // what did not run and why, one line each
	packages                []string // the closing line of every Go package
	skippedTests            []event  // of go test, each counted in skipped
	programs                []string // of others that tests ran, with their versions: their attribute "program"
}

func (r *runner) title(s string) { fmt.Fprintf(r.out, "\n== %s\n", s) }

func (r *runner) fail(what string) {
	r.failed++
	r.failures = append(r.failures, what)
}

func (r *runner) omit(what, why string) {
	r.notRun = append(r.notRun, what+": "+why)
}

// step runs a command that passes or fails as a whole. Its output is shown only
// when it fails.
func (r *runner) step(name string, env []string, args ...string) bool {
	return r.stepWithInput(name, env, "", args[0], args[1:]...)
}

func (r *runner) stepWithInput(name string, env []string, input, program string, args ...string) bool {
	start := time.Now()
	cmd := r.command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	took := time.Since(start).Seconds()
	if err != nil {
		fmt.Fprintf(r.out, "FAIL\t%s (%s: %v)\n%s", name, strings.Join(append([]string{filepath.Base(program)}, args...), " "), err, withNewline(out))
		r.fail(name)
		return false
	}
	fmt.Fprintf(r.out, "ok  \t%s\t%.1fs\n", name, took)
	r.passed++
	return true
}

// command is one of the steps' programs.
func (r *runner) command(program string, args ...string) *exec.Cmd {
	if r.nice && have("nice") {
		return exec.Command("nice", append([]string{"-n", "10", program}, args...)...)
	}
	return exec.Command(program, args...)
}

// beside runs steps that only compute (front) while others mostly wait (back), and lets
// those come first where both want the processor. What back says is shown after.
func (r *runner) beside(what string, back, front func(*runner)) {
	fmt.Fprintf(r.out, "\n== %s: beside what follows, and shown after it\n", what)
	var out bytes.Buffer
	b := &runner{out: &out, noSkip: r.noSkip, goRelease: r.goRelease}
	done := make(chan struct{})
	go func() { defer close(done); back(b) }()
	r.nice = true
	front(r)
	r.nice = false
	<-done
	r.out.Write(out.Bytes())
	r.passed, r.failed, r.skipped = r.passed+b.passed, r.failed+b.failed, r.skipped+b.skipped
	r.failures, r.notRun = append(r.failures, b.failures...), append(r.notRun, b.notRun...)
	r.packages, r.skippedTests = append(r.packages, b.packages...), append(r.skippedTests, b.skippedTests...)
	for _, p := range b.programs {
		if !slices.Contains(r.programs, p) {
			r.programs = append(r.programs, p)
		}
	}
}

func withNewline(b []byte) []byte {
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\n")) {
		b = append(b, '\n')
	}
	return b
}

func have(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// finish prints the closing lines and returns the exit status.
func (r *runner) finish() int {
	if len(r.packages) > 0 {
		r.title("packages")
		for _, p := range r.packages {
			fmt.Fprintln(r.out, p)
		}
	}
	if len(r.programs) > 0 {
		slices.Sort(r.programs)
		fmt.Fprintf(r.out, "\nRAN WITH: %s\n", strings.Join(r.programs, ", "))
	}
	if len(r.notRun)+r.skipped > 0 {
		fmt.Fprintf(r.out, "\nNOT RUN:\n")
		for _, s := range r.notRun {
			fmt.Fprintln(r.out, "  "+s)
		}
		for _, e := range r.skippedTests {
			fmt.Fprintf(r.out, "  %s %s: skipped\n", e.Package, e.Test)
		}
		if n := r.skipped - len(r.skippedTests); n > 0 {
			fmt.Fprintf(r.out, "  %d Python tests: skipped\n", n)
		}
	}
	if len(r.failures) > 0 {
		fmt.Fprintf(r.out, "\nFAILED:\n")
		for _, s := range r.failures {
			fmt.Fprintln(r.out, "  "+s)
		}
	}
	status := 0
	if r.failed > 0 {
		status = 1
	}
	if r.noSkip && (r.skipped > 0 || len(r.notRun) > 0) {
		fmt.Fprintf(r.out, "\nFRAMEPIPE_NO_SKIP is set, and not everything ran: that is a failure.\n")
		status = 1
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped+len(r.notRun))
	return status
}

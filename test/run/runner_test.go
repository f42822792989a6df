package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// The books must be right: each case is a report as the tools write it.
func TestCounts(t *testing.T) {
	goReport := func(s string) func(*runner) {
		return func(r *runner) { r.readEvents(strings.NewReader(s), "") }
	}
	python := func(s string, err error) func(*runner) {
		return func(r *runner) { r.countUnittest("test/peers", s, err) }
	}
	for name, c := range map[string]struct {
		report                  func(*runner)
		passed, failed, skipped int
		status, statusNoSkip    int
	}{
		"tests and subtests": {goReport(`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/b"}
{"Action":"pass","Package":"p","Elapsed":0.1}
`), 2, 0, 0, 0, 0},
		"a failure": {goReport(`{"Action":"output","Package":"p","Test":"TestA","Output":"a_test.go:1: no\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`), 0, 1, 0, 1, 1},
		"a package that does not build": {goReport(`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}
`), 0, 1, 0, 1, 1},
		"a package that panics": {goReport(`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"panic: x\n"}
{"Action":"fail","Package":"p"}
`), 1, 1, 0, 1, 1},
		"a skipped test": {goReport(`{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}
`), 0, 0, 1, 0, 1},
		"a package without tests": {goReport(`{"Action":"skip","Package":"p"}
`), 0, 0, 0, 0, 0},
		"python":             {python("..\nRan 12 tests in 1s\n\nOK\n", nil), 12, 0, 0, 0, 0},
		"python, one":        {python(".\nRan 1 test in 1s\n\nOK\n", nil), 1, 0, 0, 0, 0},
		"python skips":       {python("..\nRan 12 tests in 1s\n\nOK (skipped=2)\n", nil), 10, 0, 2, 0, 1},
		"python fails":       {python("..\nRan 12 tests in 1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", errors.New("exit status 1")), 8, 3, 1, 1, 1},
		"python crashes":     {python("Traceback\n", errors.New("exit status 1")), 0, 1, 0, 1, 1},
		"python without any": {python("Ran 0 tests in 0s\n\nNO TESTS RAN\n", errors.New("exit status 5")), 0, 1, 0, 1, 1},
		"a step left out":    {func(r *runner) { r.omit("vm", "no qemu") }, 0, 0, 0, 0, 1},
		"a step":             {func(r *runner) { r.step("true", nil, "go", "version") }, 1, 0, 0, 0, 0},
		"steps beside each other": {func(r *runner) {
			r.beside("what fails", func(r *runner) { r.step("false", nil, "go", "nosuchcommand"); r.omit("vm", "no qemu") }, func(r *runner) { r.step("true", nil, "go", "version") })
		}, 1, 1, 0, 1, 1},
		"a failing step": {func(r *runner) { r.step("false", nil, "go", "nosuchcommand") }, 0, 1, 0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, noSkip := range []bool{false, true} {
				r := &runner{out: io.Discard, noSkip: noSkip}
				c.report(r)
				if r.passed != c.passed || r.failed != c.failed || r.skipped != c.skipped {
					t.Errorf("%d passed, %d failed, %d skipped; want %d, %d, %d", r.passed, r.failed, r.skipped, c.passed, c.failed, c.skipped)
				}
				want := c.status
				if noSkip {
					want = c.statusNoSkip
				}
				if got := r.finish(); got != want {
					t.Errorf("noSkip=%v: exit status %d, want %d", noSkip, got, want)
				}
			}
		})
	}
}

// What was left out must be named.
func TestSkippedIsNamed(t *testing.T) {
	var out strings.Builder
	r := &runner{out: &out}
	r.readEvents(strings.NewReader(`{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}
`), "")
	r.omit("the moon", "too far")
	r.finish()
	for _, want := range []string{"NOT RUN:\n  the moon: too far\n  p TestA: skipped\n", "\n0 passed, 0 failed, 2 skipped\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
}

// The programs of others that were run are named, each once.
func TestProgramsAreNamed(t *testing.T) {
	var out strings.Builder
	r := &runner{out: &out}
	r.readEvents(strings.NewReader(`{"Action":"attr","Package":"p","Test":"TestB","Key":"program","Value":"vlc 3"}
{"Action":"attr","Package":"p","Test":"TestB","Key":"other","Value":"x"}
{"Action":"attr","Package":"p","Test":"TestA","Key":"program","Value":"curl 7"}
{"Action":"attr","Package":"p","Test":"TestC","Key":"program","Value":"curl 7"}
{"Action":"pass","Package":"p"}
`), "")
	r.finish()
	if want := "\nRAN WITH: curl 7, vlc 3\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is missing in:\n%s", want, &out)
	}
}

// A failure must be readable: the test's own output, and its name at the end.
func TestFailureIsShown(t *testing.T) {
	var out strings.Builder
	r := &runner{out: &out}
	r.readEvents(strings.NewReader(`{"Action":"output","Package":"p","Test":"TestA","Output":"a_test.go:1: got 3, want 4\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`), " [label]")
	r.finish()
	for _, want := range []string{"got 3, want 4", "FAILED:\n  p TestA [label]", "\n0 passed, 1 failed, 0 skipped\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
}

// A fuzzer that was ended in the middle has found nothing; one with an input has.
func TestFuzzReport(t *testing.T) {
	late := "fuzz: elapsed: 1m0s, execs: 10 (1/sec)\nfuzz: elapsed: 1m1s, execs: 83106 (0/sec), new interesting: 207\n--- FAIL: FuzzX (60.08s)\n    context deadline exceeded\nFAIL\n"
	if !endedLate(late) || executions(late) != 83106 {
		t.Errorf("late %v, %d executions", endedLate(late), executions(late))
	}
	for _, found := range []string{late + "Failing input written to testdata/fuzz/x\n", "panic: " + late, "--- FAIL: FuzzX\n", ""} {
		if endedLate(found) {
			t.Errorf("%q passes", found)
		}
	}
	all, err := fuzzTargets()
	if err != nil || len(all) != 0 { // this folder has none
		t.Errorf("%v %v", all, err)
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json`, as described by `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
	Key, Value string // of an attribute
}

// goTest runs go test with args (after "-json"). label tells this run from the
// others in what is printed; the main one has none.
func (r *runner) goTest(label string, env []string, args ...string) {
	title := strings.Join(append([]string{"go test"}, args...), " ")
	if label != "" {
		label = " [" + label + "]"
	}
	r.title(title + label)
	cmd := r.command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(r.out, "FAIL\t", err)
		r.fail(title + ": " + err.Error())
		return
	}
	before := r.failed
	r.readEvents(stdout, label)
	err = cmd.Wait()
	if stderr.Len() > 0 {
		fmt.Fprint(r.out, stderr)
	}
	if err != nil && r.failed == before {
		// It failed before any test could say so.
		r.fail(title + ": go test: " + err.Error())
	}
}

// readEvents counts every test and subtest, prints one line for each package,
// and the collected output of whatever failed.
func (r *runner) readEvents(in io.Reader, label string) {
	output := map[string]*strings.Builder{} // by package and test
	failedTests := map[string]int{}         // by package
	collect := func(key, s string) {
		if output[key] == nil {
			output[key] = &strings.Builder{}
		}
		output[key].WriteString(s)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			fmt.Fprint(r.out, e.Output)
		case "attr":
			if e.Key == "program" && !slices.Contains(r.programs, e.Value) {
				r.programs = append(r.programs, e.Value)
			}
		case "output":
			collect(key, e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				r.packageEnd(e, label, failedTests[e.Package], output[key])
				break
			}
			r.testEnd(e, label, output[key])
			if e.Action == "fail" {
				failedTests[e.Package]++
			}
		}
		if e.Action == "pass" || e.Action == "skip" {
			delete(output, key)
		}
	}
	if err := lines.Err(); err != nil {
		r.fail("go test" + label + ": reading go test's output: " + err.Error())
	}
}

func (r *runner) testEnd(e event, label string, out *strings.Builder) {
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		r.skippedTests = append(r.skippedTests, e)
		fmt.Fprintf(r.out, "skip\t%s %s%s\n%s", e.Package, e.Test, label, text(out))
	case "fail":
		r.fail(fmt.Sprintf("%s %s%s", e.Package, e.Test, label))
		fmt.Fprint(r.out, text(out))
	}
}

func (r *runner) packageEnd(e event, label string, failed int, out *strings.Builder) {
	line := fmt.Sprintf("ok  \t%s\t%.3fs%s", e.Package, e.Elapsed, label)
	switch e.Action {
	case "skip": // go test says this of a package without tests
		line = fmt.Sprintf("?   \t%s\t[no test files]", e.Package)
	case "fail":
		line = fmt.Sprintf("FAIL\t%s\t%.3fs%s", e.Package, e.Elapsed, label)
		fmt.Fprint(r.out, withoutVerdict(text(out)))
		if failed == 0 { // it did not build, panicked, or ran out of time
			r.fail(e.Package + label)
		}
	}
	fmt.Fprintln(r.out, line)
	if e.Action != "skip" {
		r.packages = append(r.packages, line)
	}
}

// withoutVerdict leaves out go test's own closing lines, which packageEnd says
// in its words.
func withoutVerdict(s string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(s, "\n") {
		if line != "FAIL\n" && line != "PASS\n" && !strings.HasPrefix(line, "FAIL\t") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func text(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	return b.String()
}

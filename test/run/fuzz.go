package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// target is a fuzz target.
type target struct{ pkg, name string }

var (
	fuzzFunc  = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)
	fuzzExecs = regexp.MustCompile(`execs: (\d+)`)
)

func fuzzTargets() (all []target, err error) {
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range fuzzFunc.FindAllStringSubmatch(string(src), -1) {
			all = append(all, target{"./" + filepath.ToSlash(filepath.Dir(path)), m[1]})
		}
		return err
	})
	return all, err
}

// fuzz gives every fuzz target its time. Each starts from the inputs kept in
// testdata/fuzz and adds what it finds there.
func (r *runner) fuzz(each time.Duration) {
	all, err := fuzzTargets()
	if err != nil {
		r.fail(err.Error())
	}
	if len(all) == 0 {
		r.fail("no fuzz targets found")
	}
	r.fuzzEach(all, each)
}

// fuzzShort looks whether what strangers reach first still fuzzes: the seeds and kept
// inputs of all targets have been run as tests before.
func (r *runner) fuzzShort() {
	r.title("fuzzing, for a moment")
	r.fuzzEach([]target{{"./stream", "FuzzCameraPort"}, {"./mjpeg", "FuzzDecode"}}, 3*time.Second)
}

func (r *runner) fuzzEach(all []target, each time.Duration) {
	sum := 0
	for _, t := range all {
		args := []string{"test", "-run", "^$", "-fuzz", "^" + t.name + "$", "-fuzztime", each.String(), "-fuzzminimizetime", "20x", t.pkg}
		out, err := exec.Command("go", args...).CombinedOutput()
		n := executions(string(out))
		sum += n
		switch {
		case err == nil:
			fmt.Fprintf(r.out, "ok  \t%s %s\t%d executions\n", t.pkg, t.name, n)
			r.passed++
		case endedLate(string(out)):
			fmt.Fprintf(r.out, "ok  \t%s %s\t%d executions (go's fuzzer was ended in the middle of one)\n", t.pkg, t.name, n)
			r.passed++
		default:
			fmt.Fprintf(r.out, "FAIL\t%s %s (go %s: %v)\n%s", t.pkg, t.name, strings.Join(args, " "), err, withNewline(out))
			r.fail(t.pkg + " " + t.name)
		}
	}
	fmt.Fprintf(r.out, "%d executions in all\n", sum)
}

// executions reads the last count that the fuzzer printed.
func executions(out string) int {
	all := fuzzExecs.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1])
	return n
}

// endedLate recognises a weakness of go's fuzzer: when time runs out while an input is being
// worked on, the fuzzer calls that a failure, without an input.
func endedLate(out string) bool {
	return strings.Contains(out, "context deadline exceeded") && !strings.Contains(out, "Failing input written") && !strings.Contains(out, "panic")
}

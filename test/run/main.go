// Command run is what `make test`, `make check`, `make fuzz` and CI execute: it
// runs every check and test of the repository, one step after another, shows
// package lines as they come and failures in full, and ends with one line of
// counts that are added up from the tests' own reports (`go test -json`,
// Python's unittest), never assumed.
//
// What cannot run on this machine is named under "NOT RUN" at the end. With
// FRAMEPIPE_NO_SKIP=1, as CI sets it, anything named there and any skipped test
// is a failure: a green run then means that everything ran.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	fuzztime := flag.Duration("fuzztime", 10*time.Second, "how long each fuzz target runs")
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: run [-fuzztime 10s] all|check|vulncheck|fuzz|fuzz-short") }
	flag.Parse()
	if _, err := os.Stat("go.mod"); err != nil || flag.NArg() != 1 {
		flag.Usage()
		fmt.Fprintln(os.Stderr, "(in the root of the repository)")
		os.Exit(2)
	}

	r := &runner{noSkip: os.Getenv("FRAMEPIPE_NO_SKIP") == "1", out: os.Stdout}
	switch flag.Arg(0) {
	case "all":
		r.release()
		r.setup()
		r.checks()
		if err := freshDir(artifacts); err != nil {
			r.fail("the tests' artifacts: " + err.Error())
			break
		}
		r.goTests()
		r.beside("tests that drive programs", (*runner).driverTests, func(r *runner) { r.armTests(); r.platforms() })
		r.beside("the virtual machine", (*runner).vmTests, func(r *runner) { r.fuzzShort(); r.pythonTests() })
	case "check":
		r.release()
		r.checks()
		r.goTest("", nil, "./test/repo")
	case "vulncheck":
		r.release()
		r.vulnerabilities()
	case "fuzz":
		r.fuzz(*fuzztime)
	case "fuzz-short":
		r.fuzzShort()
	default:
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(r.finish())
}

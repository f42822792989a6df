package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"framepipe/test/release"
)

// setup installs what the tests need; what it could not install shows up again
// as the steps that cannot run.
func (r *runner) setup() {
	r.title("packages that the tests need")
	cmd := exec.Command("bash", "test/setup")
	cmd.Stdout, cmd.Stderr = r.out, r.out
	if err := cmd.Run(); err != nil {
		r.omit("test/setup", "packages are missing, see its output above")
		return
	}
	fmt.Fprintln(r.out, "all there")
}

// otherPlatforms are vetted beside the one we are on: one of each family that
// has files of its own, and a 32-bit one.
var otherPlatforms = [][]string{
	{"GOOS=linux", "GOARCH=arm", "GOARM=6"},
	{"GOOS=darwin", "GOARCH=arm64"},
	{"GOOS=windows", "GOARCH=amd64"},
}

// staticcheckBuilds are the builds that staticcheck looks at together, so that
// what only a test bench uses does not count as unused.
var staticcheckBuilds = `linux: GOOS=linux CGO_ENABLED=0 -tags=` + release.Tags("vm", "vmpi", "vmguest", "packages", "peers") + `
windows: GOOS=windows GOARCH=amd64 CGO_ENABLED=0 -tags=` + release.Tags() + `
`

// checks are made of the program as it is released: what they compile is then compiled
// for the tests and the release builds, too.
func (r *runner) checks() {
	r.title("static checks")
	r.step("go vet", asReleased(), "go", "vet", "./...")
	if isDir("test/vm") {
		r.step("go vet what only some targets run", asReleased("vm", "vmpi", "vmguest", "packages", "peers"), "go", "vet", "./test/vm/...", "./test/packages", "./test/clients")
	}
	for _, env := range otherPlatforms {
		r.step("go vet "+strings.Join(env, " "), append(asReleased(), env...), "go", "vet", "./...")
	}
	staticcheck, cgo := toolPath("staticcheck"), cgoPackages()
	// It keeps what it found under names without folders, as they are compiled: what it
	// keeps of one clone is wrong for another.
	cache, _ := filepath.Abs(".cache/staticcheck")
	env := append(asReleased(), "STATICCHECK_CACHE="+cache)
	r.stepWithInput("staticcheck", env, staticcheckBuilds, staticcheck, "-matrix", "./...")
	switch {
	case len(cgo) == 0:
	case have("gcc"):
		env = append(env, "CGO_ENABLED=1")
		r.step("go vet, with cgo", env, append([]string{"go", "vet"}, cgo...)...)
		r.step("staticcheck, with cgo", env, append([]string{staticcheck}, cgo...)...)
	default:
		r.omit("checks of "+strings.Join(cgo, " "), "needs gcc (apt-get install gcc libc6-dev)")
	}
	r.step("go mod verify", nil, "go", "mod", "verify")
	r.step("go mod tidy", nil, "go", "mod", "tidy", "-diff")
	r.vulnerabilities()
}

// asReleased is the environment in which the go command compiles as for the release, so
// that the standard library is compiled once for all; tags are more build tags.
func asReleased(tags ...string) []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=" + strings.TrimSpace(os.Getenv("GOFLAGS")+" "+strings.Join(release.Flags(tags...), " "))}
}

// toolPath is the program of a tool of go.mod, to be run in an environment in which it
// is not to be built.
func toolPath(name string) string {
	out, err := exec.Command("go", "tool", "-n", name).Output()
	if err != nil {
		return name // which says that it is not there
	}
	return strings.TrimSpace(string(out))
}

// cgoPackages lists the packages with cgo, which is off in all other checks.
func cgoPackages() []string {
	cmd := exec.Command("go", "list", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}", "./...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, _ := cmd.Output() // go vet says what is wrong
	return strings.Fields(string(out))
}

// goTests tests the program's own packages, with the race detector where it can be had.
func (r *runner) goTests() {
	args, ours, _ := testArgs()
	if !have("gcc") {
		r.omit("go test -race", "needs gcc (apt-get install gcc libc6-dev); ran without -race")
		r.goTest("", nil, append(args, ours...)...)
		return
	}
	r.goTest("", []string{"CGO_ENABLED=1"}, slices.Concat([]string{"-race", "-p", strconv.Itoa(runtime.NumCPU() + 1)}, args, ours)...)
	r.withoutRace()
}

// driverTests runs what is under test/. It drives programs that are built as ordinary
// code: the race detector would look at the tests alone.
func (r *runner) driverTests() {
	if args, _, drivers := testArgs(); len(drivers) > 0 {
		r.goTest("", asReleased(), append(args, drivers...)...)
	}
}

// testArgs are those of go test, and what of ours there is to test: see split.
func testArgs() (args, ours, drivers []string) {
	args = []string{"-artifacts", "-outputdir", artifacts, "-shuffle=on", "-vet=off", "-timeout", "10m"} // vetted already
	ours, drivers = split()
	return args, ours, drivers
}

// split lists the packages of the program, and those that drive it from outside.
func split() (ours, drivers []string) {
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return []string{"./..."}, nil // which says what is wrong
	}
	for pkg := range strings.Lines(string(out)) {
		pkg = strings.TrimSpace(pkg)
		if strings.HasPrefix(pkg, "framepipe/test/") {
			drivers = append(drivers, pkg)
		} else {
			ours = append(ours, pkg)
		}
	}
	return ours, drivers
}

// artifacts is where tests leave what people may want to look at.
const artifacts = "build/test"

func freshDir(name string) error {
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	return os.MkdirAll(name, 0o777)
}

// withoutRace runs what was skipped once more, as ordinary code: the race
// detector allocates, so tests that count allocations cannot run under it; and as it is
// released, since what is inlined decides what is allocated. What is skipped then as
// well is skipped.
func (r *runner) withoutRace() {
	tests := map[string][]string{} // names by package
	for _, e := range r.skippedTests {
		name, _, _ := strings.Cut(e.Test, "/")
		if !slices.Contains(tests[e.Package], name) {
			tests[e.Package] = append(tests[e.Package], name)
		}
	}
	r.skipped -= len(r.skippedTests)
	r.skippedTests = nil
	for _, pkg := range slices.Sorted(maps.Keys(tests)) {
		r.goTest("without -race", asReleased(), "-vet=off", "-run", "^("+strings.Join(tests[pkg], "|")+")$", pkg)
	}
}

// pythonTests runs the peers' own tests, since a peer that is wrong proves nothing,
// and those of the Python package.
func (r *runner) pythonTests() {
	if !have("python3") {
		r.omit("Python tests", "needs python3 (apt-get install python3)")
		return
	}
	for _, s := range []struct{ python, dir, top string }{{"python3", "test/peers", ""}, {debianPython(), "clients/python/tests", "clients/python"}} {
		r.title("python3 -m unittest " + s.dir)
		args := []string{"-B", "-W", "error::ResourceWarning", "-m", "unittest", "discover", "-v", "-s", s.dir}
		if s.top != "" {
			args = append(args, "-t", s.top)
		}
		out, err := exec.Command(s.python, args...).CombinedOutput()
		r.countUnittest(s.dir, string(out), err)
	}
}

// debianPython is the one that Debian's packages (numpy) belong to, where it is.
func debianPython() string {
	if have("/usr/bin/python3") {
		return "/usr/bin/python3"
	}
	return "python3"
}

var (
	unittestRan = regexp.MustCompile(`(?m)^Ran (\d+) tests? in`)
	unittestEnd = regexp.MustCompile(`(?m)^(?:OK|FAILED)(?: \((.*)\))?$`)
)

// countUnittest reads the two closing lines of unittest's report: "Ran N tests
// in …" and "OK (skipped=1)" or "FAILED (failures=1, errors=2)".
func (r *runner) countUnittest(dir, out string, err error) {
	ran, end := unittestRan.FindStringSubmatch(out), unittestEnd.FindStringSubmatch(out)
	if ran == nil || end == nil {
		fmt.Fprint(r.out, out)
		r.fail("python3 " + dir + ": unittest did not finish")
		return
	}
	total, _ := strconv.Atoi(ran[1])
	var failed, skipped int
	for _, part := range strings.Split(end[1], ", ") {
		name, value, _ := strings.Cut(part, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "failures", "errors", "unexpected successes":
			failed += n
		case "skipped":
			skipped += n
		}
	}
	if err != nil && failed == 0 {
		failed = 1
	}
	r.passed += max(total-failed-skipped, 0)
	r.skipped += skipped
	if failed == 0 && skipped == 0 {
		fmt.Fprintf(r.out, "ok  \tpython3 %s\t%s tests\n", dir, ran[1])
		return
	}
	fmt.Fprint(r.out, out)
	for range failed {
		r.fail("python3 " + dir + ", see above")
	}
}

// armTests runs the pure packages as 32-bit ARM code, where a misaligned 64-bit
// atomic or an int that is too small shows itself.
func (r *runner) armTests() {
	const emulator = "qemu-arm-static"
	if runtime.GOOS != "linux" || !have(emulator) {
		r.omit("32-bit ARM tests", "need Linux and "+emulator+" (apt-get install qemu-user-static)")
		return
	}
	var dirs []string
	for _, d := range []string{"frame", "wire", "pixfmt", "mjpeg", "transform", "clocksync", "measure", "v4l2", "capture/pattern"} {
		if isDir(d) {
			dirs = append(dirs, "./"+d)
		}
	}
	r.goTest("arm/6, emulated",
		append(asReleased(), "GOOS=linux", "GOARCH=arm", "GOARM=6", "FRAMEPIPE_EMULATED=1"),
		append([]string{"-timeout", "10m", "-exec", emulator}, dirs...)...)
	r.vectorTests()
}

// vectorTests runs the packages that have kernels in assembly with those of the other
// machine, and without any.
func (r *runner) vectorTests() {
	dirs := []string{"./mjpeg", "./pixfmt", "./transform"}
	r.goTest("without assembly", nil, append([]string{"-vet=off", "-tags", "purego"}, dirs...)...)
	if runtime.GOARCH == "arm64" {
		return
	}
	const emulator = "qemu-aarch64-static"
	if !have(emulator) {
		r.omit("arm64 tests", "need "+emulator+" (apt-get install qemu-user-static)")
		return
	}
	r.goTest("arm64, emulated",
		append(asReleased(), "GOOS=linux", "GOARCH=arm64", "FRAMEPIPE_EMULATED=1"),
		append([]string{"-vet=off", "-timeout", "10m", "-exec", emulator}, dirs...)...)
}

func (r *runner) platforms() {
	r.title("the release, built into a scratch directory")
	if !isDir("cmd/framepipe") {
		r.omit("release builds", "there is no cmd/framepipe")
		return
	}
	dir, err := os.MkdirTemp("", "framepipe-dist-")
	if err != nil {
		r.fail("release builds: " + err.Error())
		return
	}
	defer os.RemoveAll(dir)
	r.step("release builds", nil, "go", "run", "./test/dist", "-version", "test", "-quick", "-o", dir)
}

func (r *runner) vmTests() {
	if !isDir("test/vm") {
		return
	}
	// These tests build the programs that run in the guest, which go test's cache
	// does not see: a result of yesterday would stand for today's program.
	r.goTest("vm", nil, "-count=1", "-tags", "vm", "-timeout", "15m", "./test/vm")
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

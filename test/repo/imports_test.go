package repo

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// allowed says which packages of ours each package may import; a pattern as in
// path.Match stands for several. Everything under test/ may import anything.
// The picture in ARCHITECTURE.md is drawn from this table.
var allowed = map[string][]string{
	// Vocabulary and formats: no input, no output.
	"frame":     {},
	"wire":      {"frame"},
	"pixfmt":    {"frame"},
	"mjpeg":     {"frame", "pixfmt", "mjpeg/internal/*"},
	"transform": {"frame", "pixfmt", "mjpeg"},
	"clocksync": {"frame"},
	"measure":   {"frame", "clocksync"},

	"mjpeg/internal/*": {},

	// Cameras.
	"v4l2":               {},
	"capture":            {"frame"},
	"capture/internal/*": {"capture", "frame", "internal/rawio"},
	"capture/*":          {"capture", "capture/internal/*", "frame", "internal/rawio", "pixfmt", "mjpeg", "v4l2"},
	"capture/*/*":        {"frame"}, // a part of one camera that others may use too
	"capture/pattern":    {"capture", "capture/internal/*", "capture/pattern/*", "frame", "pixfmt", "mjpeg"},
	"capture/replay":     {"capture", "capture/internal/*", "capture/replay/*", "frame", "mjpeg"},
	"capture/open":       {"capture", "capture/*", "frame", "pixfmt", "mjpeg", "v4l2"},
	"camera":             {"capture", "transform", "frame", "wire"}, // opened by name only in internal/app

	// The way from one machine to the other.
	"stream": {"frame", "pixfmt", "mjpeg", "wire", "clocksync", "measure", "internal/secure", "internal/tcpq", "internal/rawio"},

	// Experiments.
	"experiment/plan":   {"capture", "frame", "stream", "wire", "internal/netem"},
	"experiment/result": {"experiment/plan", "measure", "frame", "wire", "internal/doctor"},
	"experiment/stats":  {"experiment/plan"},
	"experiment/tune":   {"experiment/plan"},
	"experiment/report": {"experiment/*", "measure", "frame", "internal/doctor", "internal/netem"},
	"experiment":        {"experiment/plan", "experiment/result", "experiment/stats", "experiment/tune", "capture", "frame", "measure", "clocksync", "stream", "wire", "internal/doctor"},

	// The program.
	"internal/doctor":   {},
	"internal/netem":    {},
	"internal/secure":   {},
	"internal/tcpq":     {},
	"internal/rawio":    {},
	"internal/records":  {"measure"},
	"internal/record":   {"frame", "mjpeg", "stream", "capture/replay/stamps"},
	"internal/glass":    {"frame", "pixfmt", "mjpeg", "clocksync", "stream"},
	"internal/bus":      {"frame", "wire", "clocksync", "measure", "stream", "internal/rawio", "internal/tcpq"},
	"internal/discover": {},
	"internal/metrics":  {"frame", "internal/record", "measure", "stream"},
	"internal/lab":      {"capture", "experiment", "experiment/*", "internal/doctor", "stream", "wire"},
	"internal/web":      {"frame", "experiment/plan", "internal/glass", "internal/lab", "internal/record", "internal/secure", "pixfmt", "mjpeg", "transform", "wire", "measure", "clocksync", "stream", "internal/tcpq", "internal/rawio"},
	"internal/app":      {"*", "capture/*", "capture/pattern/*", "experiment/*", "internal/*"},
	"cmd/framepipe":     {"internal/app"},

	// As programs of others would: the public packages only.
	"examples":   {},
	"examples/*": {"camera", "capture", "clocksync", "frame", "mjpeg", "stream", "wire"},
}

// forbidden keeps packages pure: these may not import the given packages of the
// standard library or of golang.org/x.
var forbidden = map[string][]string{
	"frame":     {"net", "os", "io"},
	"wire":      {"net", "os", "syscall", "golang.org/x/sys/unix"},
	"pixfmt":    {"net", "os", "syscall"},
	"mjpeg":     {"net", "os", "syscall"},
	"transform": {"net", "os", "syscall"},
	"clocksync": {"net", "os", "syscall"},
	"measure":   {"net", "syscall"},
}

func TestImportDirections(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasPrefix(p.dir, "test/") {
			continue
		}
		rules, ok := rulesFor(p.dir)
		if !ok {
			t.Errorf("package %s has no import rules: add it to the table in test/repo/imports_test.go, and say in ARCHITECTURE.md what it is for", p.dir)
			continue
		}
		for _, imported := range slices.Sorted(maps.Keys(p.imports)) {
			inFiles := strings.Join(p.imports[imported], ", ")
			for _, f := range forbidden[p.dir] {
				if imported == f || strings.HasPrefix(imported, f+"/") {
					t.Errorf("package %s must not import %s (%s): it is to be usable and testable without the system", p.dir, imported, inFiles)
				}
			}
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			if isOurs && !matchAny(rules, ours) {
				t.Errorf("package %s must not import %s (%s): allowed are %v. If two packages want each other, the noun that they share moves down a level",
					p.dir, ours, inFiles, rules)
			}
		}
	}
}

// rulesFor prefers the exact entry over a pattern, and the longer pattern.
func rulesFor(dir string) (rules []string, ok bool) {
	best := ""
	for pattern := range allowed {
		if match, _ := path.Match(pattern, dir); pattern == dir || match && len(pattern) > len(best) {
			best = pattern
			if pattern == dir {
				break
			}
		}
	}
	rules, ok = allowed[best]
	return rules, ok
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

// The table itself must not promise what it does not check.
func TestImportTableNamesExistingPackages(t *testing.T) {
	var dirs []string
	for _, p := range packages(t) {
		dirs = append(dirs, p.dir)
	}
	for pattern := range allowed {
		if !slices.ContainsFunc(dirs, func(d string) bool { ok, _ := path.Match(pattern, d); return ok }) {
			t.Logf("no package matches %q yet", pattern)
		}
	}
	for dir, want := range map[string]string{"capture/open": "capture/*", "capture/internal/borrow": "frame", "capture/pattern/timecode": "frame", "capture/rpicam": "v4l2"} {
		if rules, ok := rulesFor(dir); !ok || !slices.Contains(rules, want) {
			t.Errorf("the rules of %s are %v", dir, rules)
		}
	}
	if matchAny(allowed["wire"], "stream") || !matchAny(allowed["internal/app"], "capture/open") || matchAny(allowed["internal/web"], "capture/open") {
		t.Error("the table does not mean what it should")
	}
}

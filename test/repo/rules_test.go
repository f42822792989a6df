package repo

import (
	"bytes"
	"go/format"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxLines    = 500 // a file that grows past this holds a second noun
	minDocWords = 20  // fewer only repeat the package's name
)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(strings.Fields(p.doc)) < minDocWords {
			t.Errorf("package %s: its package comment has %d words. Say what it is for, what it is not for, who owns memory, and where its facts come from",
				p.dir, len(strings.Fields(p.doc)))
		}
	}
}

func TestArchitectureMentionsEveryPackage(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	for _, p := range packages(t) {
		if parent := path.Dir(p.dir); strings.Count(p.dir, "/") >= 2 && strings.HasPrefix(p.dir, "test/") && mentions(text, parent) {
			continue // the parts of a test bench are that bench's own affair
		}
		if !mentions(text, p.dir) {
			t.Errorf("ARCHITECTURE.md does not mention `%s`", p.dir)
		}
	}
}

// mentions accepts `dir` and `dir/` in code quotes, a line of a layout that
// begins with dir/, and for a subdirectory also the short form parent/{a,b}. The
// bare word is not enough: "frame" is in every second sentence.
func mentions(text, dir string) bool {
	if strings.Contains(text, "`"+dir+"`") || strings.Contains(text, "`"+dir+"/`") ||
		regexp.MustCompile(`(?m)^[\s│├└─]*`+regexp.QuoteMeta(dir)+`/(\s|$)`).MatchString(text) {
		return true
	}
	parent, base := path.Split(dir)
	for _, m := range regexp.MustCompile(regexp.QuoteMeta(parent)+`\{([^}]*)\}`).FindAllStringSubmatch(text, -1) {
		if parent != "" && slices.Contains(strings.Split(strings.ReplaceAll(m[1], " ", ""), ","), base) {
			return true
		}
	}
	return false
}

func TestGofmt(t *testing.T) {
	for _, name := range files(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		src := []byte(read(t, name))
		formatted, err := format.Source(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(src, formatted) {
			t.Errorf("%s is not formatted: gofmt -w %s", name, name)
		}
	}
}

func isSource(name string) bool {
	switch path.Ext(name) {
	case ".go", ".py", ".sh", ".js", ".mjs", ".css", ".html", ".c", ".h", ".s":
		return !strings.Contains(name, "testdata/")
	case "":
		return path.Base(name) != "LICENSE"
	}
	return false
}

func TestFilesCanBeReadInOneSitting(t *testing.T) {
	for _, name := range files(t) {
		if !isSource(name) || strings.Contains(name, "testdata/") {
			continue
		}
		if n := strings.Count(read(t, name), "\n"); n > maxLines {
			t.Errorf("%s has %d lines (limit %d): look for the second noun in it", name, n, maxLines)
		}
	}
}

// What belongs to one person's machine or to another day does not belong here.
// (Written in pieces, so that this file keeps its own rule.)
var unwanted = []struct {
	what string
	re   *regexp.Regexp
}{
	{"a path of somebody's machine", regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(work|tmp/wt|root/go|Users/\w+|home/([a-oq-z]\w*|p[a-hj-z]\w*))(/|\b)`)},
	{"an unfinished note (open an issue instead)", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)},
	{"a merge conflict", regexp.MustCompile(`^(<{7} |>{7} )`)},
}

func TestNothingUnwanted(t *testing.T) {
	for _, name := range files(t) {
		text := read(t, name)
		if strings.Contains(text, "\x00") || name == "go.sum" || strings.Contains(name, "testdata/") {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			for _, u := range unwanted {
				if m := u.re.FindString(line); m != "" {
					t.Errorf("%s:%d: %s: %q", name, i+1, u.what, strings.TrimSpace(m))
				}
			}
		}
	}
}

func TestUnwantedPatterns(t *testing.T) {
	slash := "/"
	for line, want := range map[string]bool{
		"see " + slash + "work/shared/x":    true,
		"`" + slash + "work`":               true,
		"cd " + slash + "tmp/wt/a":          true,
		"// TO" + "DO later":                true,
		slash + "home/alice/x":              true,
		slash + "home/pi/x":                 false,
		"https://example.org/work/in":       false,
		"a/work/b":                          false,
		"framework/":                        false,
		"<<<<" + "<<< HEAD":                 true,
		"/tmp/framepipe":                    false,
		"GOPATH=" + slash + "root/go/pkg/x": true,
	} {
		got := false
		for _, u := range unwanted {
			got = got || u.re.MatchString(line)
		}
		if got != want {
			t.Errorf("%q: unwanted = %v, want %v", line, got, want)
		}
	}
}

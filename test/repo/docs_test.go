package repo

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fence    = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	code     = regexp.MustCompile("`[^`\n]*`")
	mdLink   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *#*$`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
	makeLine = regexp.MustCompile(`(?m)^\s*\$ (?:sudo )?make(?: +[A-Z_]+=\S+)* +([a-z][a-z-]*)`)
)

func markdown(t *testing.T) map[string]string {
	docs := map[string]string{}
	for _, name := range files(t) {
		if strings.HasSuffix(name, ".md") {
			docs[name] = read(t, name)
		}
	}
	return docs
}

func TestMarkdownLinksResolve(t *testing.T) {
	docs := markdown(t)
	for name, text := range docs {
		prose := code.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
		for _, m := range mdLink.FindAllStringSubmatch(prose, -1) {
			link := m[1]
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
				if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
					t.Errorf("%s links to %s: there is no %s", name, link, target)
					continue
				}
			}
			if doc, ok := docs[target]; ok && anchor != "" && !anchors(doc)[anchor] {
				t.Errorf("%s links to %s: %s has no such heading", name, link, target)
			}
		}
	}
}

// anchors are the names that code hosts give to a document's headings.
func anchors(text string) map[string]bool {
	set := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		set[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return set
}

func targets(t *testing.T) map[string]bool {
	set := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):(.*)$`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		set[m[1]] = true
		if !strings.Contains(m[2], "## ") {
			t.Errorf("Makefile: target %s has no description (## …), so that `make` does not list it", m[1])
		}
	}
	return set
}

func TestMakefile(t *testing.T) {
	have := targets(t)
	for _, want := range []string{"help", "build", "demo", "test", "check", "bench", "bench-links", "bench-peers", "fuzz", "dist", "test-pi", "clean"} {
		if !have[want] {
			t.Errorf("Makefile has no target %s", want)
		}
	}
	for name, text := range markdown(t) {
		for _, m := range makeLine.FindAllStringSubmatch(text, -1) {
			if !have[m[1]] {
				t.Errorf("%s tells people to run `make %s`, which does not exist", name, m[1])
			}
		}
	}
}

func TestDocsHelpers(t *testing.T) {
	doc := "# A b\n```\n# not one\n$ make nosuch\n```\n## Wire v1: `hello`, bye\n"
	got := anchors(doc)
	if !got["a-b"] || !got["wire-v1-hello-bye"] || got["not-one"] {
		t.Errorf("anchors = %v", got)
	}
	if m := makeLine.FindStringSubmatch("  $ make FUZZTIME=3s fuzz\n"); m == nil || m[1] != "fuzz" {
		t.Errorf("make line = %q", m)
	}
}

// Tests that documents name as evidence exist.
func TestNamedTestsExist(t *testing.T) {
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	for _, name := range files(t) {
		if strings.HasSuffix(name, "_test.go") {
			for _, m := range function.FindAllStringSubmatch(read(t, name), -1) {
				there[m[1]] = true
			}
		}
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	n := 0
	for name, text := range markdown(t) {
		for _, test := range named.FindAllString(text, -1) {
			n++
			if !there[test] {
				t.Errorf("%s names %s, which is no test of ours", name, test)
			}
		}
	}
	if n < 30 { // those of SECURITY.md alone
		t.Errorf("only %d tests are named: the pattern does not find them", n)
	}
}

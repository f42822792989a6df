package repo

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// Every package that docs/library.md offers has an example that runs as a test, or is
// used by a program in examples/, which a test runs.
func TestPublicPackagesHaveExamples(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| (`.*`) \\|")
	runs := regexp.MustCompile(`(?m)^func Example\w*\(\) \{\n(?:.*\n)*?\t// Output:`)
	shown, used := map[string]bool{}, ""
	for _, name := range files(t) {
		if strings.HasSuffix(name, "_test.go") && runs.MatchString(read(t, name)) {
			shown[path.Dir(name)] = true
		}
		if strings.HasPrefix(name, "examples/") && strings.HasSuffix(name, "/main.go") {
			used += read(t, name)
		}
	}
	offered := 0
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/library.md"), -1) {
		for _, quoted := range code.FindAllString(m[1], -1) {
			pkg := strings.Trim(quoted, "`")
			offered++
			if !shown[pkg] && !strings.Contains(used, "\""+module+"/"+pkg+"\"") {
				t.Errorf("%s is offered in docs/library.md and has no example", pkg)
			}
		}
	}
	if offered < 9 {
		t.Errorf("docs/library.md offers only %d packages", offered)
	}
}

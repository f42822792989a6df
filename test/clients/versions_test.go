package clients

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// ranWith asks a program for its version and makes it an attribute of the test, which
// test/run prints. What documentation says it was tested with is held against that:
// on the Debian that it names, up to the number that a stable release keeps.
func ranWith(t *testing.T, program, doc string, command ...string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	found := regexp.MustCompile(`(?:^|\s)(\d+\.\d+(?:\.\d+)*)`).FindStringSubmatch(string(out)) // some end with an error after telling
	if found == nil {
		t.Fatalf("%v does not tell its version: %v\n%s", command, err, out)
	}
	m := found[1]
	t.Attr("program", program+" "+m)
	system, _ := os.ReadFile("/etc/os-release") // there is none where there is no Debian either
	if !strings.Contains(string(system), "\nID=debian") || !strings.Contains(string(system), "\nVERSION_ID=\"12\"") {
		return
	}
	b, err := os.ReadFile("../../docs/" + doc)
	if err != nil {
		t.Fatal(err)
	}
	kept := regexp.MustCompile(`^\d+\.\d+`).FindString(m)
	said := regexp.MustCompile(`(?m)^.*\b` + regexp.QuoteMeta(program) + `\b.*?\b` + regexp.QuoteMeta(kept) + `\b.*\(Debian 12\)`)
	if !said.Match(b) {
		t.Errorf("docs/%s does not say that it was tested with %s %s: a line with both and (Debian 12)", doc, program, m)
	}
}

package docs

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write docs/commands.md")

	root   = filepath.Join("..", "..")
	binary string // framepipe
	helps  []*Help
	caches []string // where go has its modules and packages, for commands that have another home
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withProgram(m))
}

func withProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "framepipe-docs")
	if err == nil {
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "framepipe")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", binary, "../../cmd/framepipe").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		} else {
			helps, err = Ask(binary)
		}
		for _, name := range []string{"GOMODCACHE", "GOCACHE"} {
			if err == nil {
				out, err = exec.Command("go", "env", name).Output()
				caches = append(caches, name+"="+strings.TrimSpace(string(out)))
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents are what users read. The READMEs of test benches are for who works there.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "clients/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			name, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, filepath.ToSlash(name))
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d documents found", len(all))
	}
	return all
}

// command finds a command by what follows the program's name.
func command(words ...string) *Help {
	name := strings.Join(append([]string{"framepipe"}, words...), " ")
	for _, h := range helps {
		if h.Name == name {
			return h
		}
	}
	return nil
}

func TestReferenceIsCurrent(t *testing.T) {
	const name = "docs/commands.md"
	want := Reference(helps)
	if *update {
		if err := os.WriteFile(filepath.Join(root, name), []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, name) != want {
		t.Errorf("%s is not what the program says: go test ./test/docs -update", name)
	}
	// Each flag has a row of its own, below its command.
	sections := strings.Split(want, "\n## ")
	for _, h := range helps {
		for _, o := range h.Options {
			for _, n := range o.Names {
				section := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, h.Name+"\n") })
				if f := Flag(n); f != "help" && f != "h" && h.Name != "framepipe" && (section < 0 || !strings.Contains(sections[section], "`"+n+"`")) {
					t.Errorf("%s has no row for %s %s", name, h.Name, n)
				}
			}
		}
	}
}

var longFlag = regexp.MustCompile(`(?:^|[^\w-])(--?[a-z][\w-]*)`)

// The man pages are set without a complaint, and have the flags that the program has
// and no other.
func TestManPages(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("needs mandoc (apt-get install mandoc)")
	}
	dir := t.TempDir()
	for _, h := range helps {
		name, text := ManPage(h, "1.2.3")
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mandoc", "-T", "lint", "-W", "warning", file).CombinedOutput(); slices.ContainsFunc(strings.Split(string(out), "\n"), func(l string) bool {
			return l != "" && !strings.Contains(l, "missing date") // there is none: a page is as old as its program
		}) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		out, err := exec.Command("mandoc", "-T", "ascii", "-O", "width=400", file).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		page := regexp.MustCompile(`.\x08`).ReplaceAllString(string(out), "") // overstruck: bold
		_, options, ok := strings.Cut(page, "OPTIONS\n")
		options, _, _ = strings.Cut(options, "EXIT STATUS")
		if !ok {
			t.Fatalf("%s has no options:\n%s", name, page)
		}
		heads := map[string]bool{}
		for _, line := range strings.Split(options, "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "--") {
				names, _, _ := strings.Cut(line, "  ") // a short one has its text in the same line
				for _, n := range strings.Split(names, ", ") {
					heads[Flag(n)] = true
				}
			}
		}
		for _, o := range h.Options {
			for _, n := range o.Names {
				if !heads[Flag(n)] {
					t.Errorf("%s lacks %s", name, n)
				}
				delete(heads, Flag(n))
			}
		}
		for n := range heads {
			t.Errorf("%s has --%s, which %s does not know", name, n, h.Name)
		}
		if !strings.Contains(page, h.Text) {
			t.Errorf("%s does not say %q", name, h.Text)
		}
	}
}

// othersFlags are those of other programs that the documents name.
var othersFlags = map[string]string{
	"--network-caching": "VLC", "--now": "systemctl", "--address": "test/peers",
}

var (
	fenced     = regexp.MustCompile("(?ms)^```.*?^```$")
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	heading    = regexp.MustCompile(`^## (.*)`)
)

// Every flag of framepipe that the documents name in running text exists, at the
// command that it is said to be of. Console blocks are looked at in blocks_test.go.
func TestFlagsInTheDocumentsExist(t *testing.T) {
	found := 0
	for _, doc := range documents(t) {
		section := ""
		for _, line := range strings.Split(fenced.ReplaceAllString(read(t, doc), ""), "\n") {
			if m := heading.FindStringSubmatch(line); m != nil {
				section = m[1]
			}
			if strings.HasPrefix(line, "    ") {
				continue
			}
			for _, m := range inlineCode.FindAllStringSubmatchIndex(line, -1) {
				span := line[m[2]:m[3]]
				for _, err := range wrongFlags(span, defaultCommand(doc, section, line, m[0])) {
					t.Errorf("%s: `%s`: %v", doc, span, err)
				}
				found += strings.Count(span, "--")
			}
		}
	}
	if found < 200 {
		t.Errorf("only %d flags found", found)
	}
}

// defaultCommand is whose flags the first column of the guide's tables are of.
func defaultCommand(doc, section, line string, at int) *Help {
	if doc != "README.md" || !strings.HasPrefix(line, "| ") || strings.Contains(line[1:at], "|") {
		return nil
	}
	switch section {
	case "Sending":
		return command("send")
	case "Receiving":
		return command("receive")
	}
	return nil
}

// wrongFlags looks for flags that do not exist in a text that may have a command
// before them; without one they are of, or if that is nil, of any command.
func wrongFlags(text string, of *Help) (errs []error) {
	known := func(f string) bool {
		if of != nil {
			return of.Has(f)
		}
		return slices.ContainsFunc(helps, func(h *Help) bool { return h.Has(f) })
	}
	words := strings.Fields(text)
	for i, w := range words {
		if c := command(w); c != nil && (i == 0 || words[i-1] == "framepipe" || words[i-1] == "./framepipe") {
			if of = c; i+1 < len(words) && command(w, words[i+1]) != nil {
				of = command(w, words[i+1])
			}
			continue
		}
		if w == "|" || w == "&&" {
			of = nil
		}
		m := longFlag.FindStringSubmatch(w)
		if m == nil || !strings.HasPrefix(m[1], "--") || othersFlags[m[1]] != "" {
			continue
		}
		if f := Flag(m[1]); !known(f) {
			name := "no command knows"
			if of != nil {
				name = of.Name + " does not know"
			}
			errs = append(errs, fmt.Errorf("%s --%s", name, f))
		}
	}
	return errs
}

// What the check is made of finds mistakes.
func TestWrongFlags(t *testing.T) {
	for text, want := range map[string]int{
		"framepipe send --name door --token SECRET": 0, "send --bus x": 1, "--bus URL": 0, "--bsu URL": 1,
		"framepipe experiment run --camera x --fail-if y": 1, "ffmpeg -i x | framepipe send --source -": 0, "receive --http :8080 --source auto": 0, "--network-caching=100": 0,
	} {
		if got := wrongFlags(text, nil); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if len(wrongFlags("--bus URL", command("send"))) != 1 {
		t.Error("send has no --bus")
	}
}

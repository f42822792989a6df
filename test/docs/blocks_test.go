package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is one console block, or other indented or fenced text, of a document.
type block struct {
	line int
	kind string // what a fence says; "" = indented
	text string // without the indentation
}

// blocks finds them as Markdown does.
func blocks(text string) []block {
	var all []block
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if kind, ok := strings.CutPrefix(lines[i], "```"); ok {
			b := block{line: i + 1, kind: kind}
			for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
				b.text += lines[i] + "\n"
			}
			all = append(all, b)
			continue
		}
		if !strings.HasPrefix(lines[i], "    ") || i > 0 && lines[i-1] != "" {
			continue
		}
		b := block{line: i + 1}
		for ; i < len(lines) && (strings.HasPrefix(lines[i], "    ") || lines[i] == ""); i++ {
			b.text += strings.TrimPrefix(lines[i], "    ") + "\n"
		}
		i--
		b.text = strings.TrimRight(b.text, "\n") + "\n"
		all = append(all, b)
	}
	return all
}

var (
	prompt  = regexp.MustCompile(`^[a-z]*\$ +`)
	comment = regexp.MustCompile(`(  +| # ).*`)
)

// commands are what a reader types of a console block: where there are prompts, what
// is behind them; without what explains it further to the right.
func commands(text string) []string {
	var all []string
	prompts := slices.ContainsFunc(strings.Split(text, "\n"), prompt.MatchString)
	for _, line := range strings.Split(text, "\n") {
		if prompts && !prompt.MatchString(line) {
			continue // output
		}
		if line = comment.ReplaceAllString(prompt.ReplaceAllString(line, ""), ""); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// named are blocks of docs/connect with a name: test/clients runs those.
var named = regexp.MustCompile(`^\w+ [a-z]+$`)

// Every block of every document is run, or its list entry says why not; then its
// commands are at least those of the program and their flags exist.
func TestBlocks(t *testing.T) {
	for _, doc := range documents(t) {
		t.Run(strings.ReplaceAll(doc, "/", ":"), func(t *testing.T) {
			t.Parallel()
			todo := script[doc]
			s := newStage(t)
			for _, b := range blocks(read(t, doc)) {
				if doc == "docs/commands.md" {
					if h := command(strings.Fields(strings.TrimPrefix(b.text, "framepipe"))...); h == nil && !slices.ContainsFunc(helps, func(h *Help) bool { return h.Usage+"\n" == b.text }) {
						t.Errorf("%s:%d: no command's usage: %s", doc, b.line, b.text)
					}
					continue
				}
				if strings.HasPrefix(doc, "docs/connect/") && named.MatchString(b.kind) {
					continue
				}
				if len(todo) == 0 || !strings.HasPrefix(b.text, todo[0].begins) {
					t.Errorf("%s:%d: the script in script_test.go does not know this block, or not in this place:\n%s", doc, b.line, b.text)
					continue
				}
				s.act(todo[0], b)
				todo = todo[1:]
			}
			for _, e := range todo {
				t.Errorf("%s: there is no block that begins with %q in its place", doc, e.begins)
			}
			delete(s.vars, "root")
		})
	}
	for doc := range script {
		if !slices.Contains(documents(t), doc) {
			t.Errorf("there is no %s", doc)
		}
	}
}

// act does with a block what the script says.
func (s *stage) act(e entry, b block) {
	s.Helper()
	if e.first != nil {
		e.first(s)
	}
	if e.why != "" {
		for _, c := range commands(b.text) {
			for _, err := range wrongFlags(c, nil) {
				s.Errorf("%s: %v", c, err)
			}
		}
		if e.why == notOurs {
			return
		}
	}
	if e.file != "" { // the block is a file, or a program
		text := b.text
		if len(e.commands) > 0 {
			text = s.change(b.text, e.change)
		}
		if err := os.WriteFile(filepath.Join(s.dir, e.file), []byte(text+e.more), 0o666); err != nil {
			s.Fatal(err)
		}
		for _, c := range e.commands {
			s.run(c.text, c)
		}
		return
	}
	if e.why != "" {
		return
	}
	list := commands(b.text)
	if len(e.commands) == 0 {
		e.commands = slices.Repeat([]act{e.each}, len(list))
	}
	if len(list) != len(e.commands) {
		s.Fatalf("the block has %d commands, the script %d:\n%s", len(list), len(e.commands), b.text)
	}
	for i, c := range e.commands {
		s.run(list[i], c)
	}
}

func (s *stage) run(text string, c act) {
	s.Helper()
	if c.why != "" || c.root && os.Geteuid() != 0 {
		for _, err := range wrongFlags(text, nil) {
			s.Errorf("%s: %v", text, err)
		}
		return
	}
	var env []string
	for _, e := range c.env {
		env = append(env, s.change(e, nil))
	}
	if out := s.start(s.change(text, c.change), c.until, c.ends, env); !regexp.MustCompile(c.says).MatchString(out) {
		s.Errorf("%s: does not say %q, but:\n%s", text, c.says, out)
	}
	if c.then != nil {
		c.then(s)
	}
}

// The reading of documents finds what is there.
func TestBlocksAreFound(t *testing.T) {
	got := blocks("text\n\n    $ one  says this\n    output\n\n    $ two\n\n- item\n    more of it\n\n```sh name\nthree # why\n```\n    not one\n\n    laptop$ make x && ./y        z\n")
	if len(got) != 3 || got[0].line != 3 || got[1].kind != "sh name" || got[2].line != 16 {
		t.Fatalf("%+v", got)
	}
	for i, want := range [][]string{{"one", "two"}, {"three"}, {"make x && ./y"}} {
		if c := commands(got[i].text); !slices.Equal(c, want) {
			t.Errorf("block %d: %q, want %q", i, c, want)
		}
	}
	if !local.MatchString("framepipe send LAPTOP") || local.MatchString("framepipe send 127.0.0.1:1") {
		t.Error("addresses of others are not recognised")
	}
}

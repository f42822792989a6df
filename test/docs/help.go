// Package docs makes the man pages and docs/commands.md of what the program says
// with --help, so that there is one source of what commands and flags mean, and its
// tests hold all documentation against it: every flag that is named exists, and
// every console block is run, or is in a list that says why it is not. It knows
// nothing of the program but its output.
package docs

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Help is what one command says of itself.
type Help struct {
	Name        string   // "framepipe experiment run"
	Text        string   // one line
	Usage       string   // "framepipe experiment run [options] PLAN.yaml | PRESET"
	Description []string // lines as they are
	Commands    []Item
	Options     []Item
}

// Item is a command or an option.
type Item struct {
	Names []string // "run", or "--width int", "-W int": a flag with what follows it
	Text  string
	Given string // an option's default; "" = none worth telling
}

// Flag is an option's name without dashes and value.
func Flag(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(name, "-"), " ")
	return name
}

// Has reports whether the command knows a flag, without its dashes.
func (h *Help) Has(flag string) bool {
	return slices.ContainsFunc(h.Options, func(o Item) bool {
		return slices.ContainsFunc(o.Names, func(n string) bool { return Flag(n) == flag })
	})
}

// Ask has a program tell all its commands, its own page first.
func Ask(program string) ([]*Help, error) {
	return ask(program, nil)
}

func ask(program string, command []string) ([]*Help, error) {
	out, err := exec.Command(program, append(slices.Clone(command), "--help")...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s --help: %w", strings.Join(command, " "), err)
	}
	h, err := parse(string(out))
	if err != nil {
		return nil, fmt.Errorf("%s --help: %w", strings.Join(command, " "), err)
	}
	all := []*Help{h}
	if len(command) > 0 && command[0] == "completion" {
		return all, nil // what it has below are shells
	}
	for _, c := range h.Commands {
		if c.Names[0] == "help" {
			continue // the library's own
		}
		sub, err := ask(program, append(slices.Clone(command), c.Names[0]))
		if err != nil {
			return nil, err
		}
		all = append(all, sub...)
	}
	return all, nil
}

// parse reads a help text: headings at the margin, what is below them by three
// spaces to the right.
func parse(text string) (*Help, error) {
	h, section := new(Help), ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if head, ok := strings.CutSuffix(line, ":"); ok && !strings.HasPrefix(line, " ") {
			section = head
			continue
		}
		line = strings.TrimPrefix(line, "   ")
		if line == "" && section != "DESCRIPTION" {
			continue
		}
		switch section {
		case "NAME":
			h.Name, h.Text, _ = strings.Cut(line, " - ")
		case "USAGE":
			h.Usage = line
		case "DESCRIPTION":
			h.Description = append(h.Description, line)
		case "COMMANDS":
			h.Commands = append(h.Commands, item(line))
		case "OPTIONS", "GLOBAL OPTIONS":
			h.Options = append(h.Options, option(line))
		default:
			return nil, fmt.Errorf("unexpected %q below %q", line, section)
		}
	}
	for len(h.Description) > 0 && h.Description[len(h.Description)-1] == "" {
		h.Description = h.Description[:len(h.Description)-1]
	}
	if h.Name == "" || h.Usage == "" || len(h.Options) == 0 {
		return nil, fmt.Errorf("not understood:\n%s", text)
	}
	return h, nil
}

func item(line string) Item {
	names, text, _ := strings.Cut(line, "  ")
	return Item{Names: strings.Split(names, ", "), Text: strings.TrimSpace(text)}
}

// option reads "--fps float  frames per second (default: 0) [$FRAMEPIPE_SEND_FPS]".
// A flag that may be repeated is said twice there, the second time in brackets.
func option(line string) Item {
	o := item(line)
	for i, n := range o.Names {
		o.Names[i], _, _ = strings.Cut(n, " [ ")
	}
	o.Text, _, _ = strings.Cut(o.Text, " [$")
	if i := strings.LastIndex(o.Text, " (default: "); i >= 0 && strings.HasSuffix(o.Text, ")") {
		o.Given = strings.TrimSuffix(o.Text[i+len(" (default: "):], ")")
		o.Text = o.Text[:i]
	}
	switch o.Given {
	case "0", "0s", `""`:
		o.Given = ""
	}
	return o
}

// variable is how a flag is called in the environment.
func (h *Help) variable(flag string) string {
	words := append(strings.Fields(h.Name), flag)
	return strings.ToUpper(strings.ReplaceAll(strings.Join(words, "_"), "-", "_"))
}

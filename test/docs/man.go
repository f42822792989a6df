package docs

import (
	"fmt"
	"strings"
)

// ManPage sets a command in roff (man(7)). What the pages of commands have in common
// is said in each: who reads one does not read the others.
func ManPage(h *Help, version string) (file, text string) {
	name := strings.ReplaceAll(h.Name, " ", "-")
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"framepipe %s\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(roff(name)), roff(version), roff(name), roff(h.Text))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n%s\n", roff(h.Name), roff(strings.TrimSpace(strings.TrimPrefix(h.Usage, h.Name))))
	if len(h.Description) > 0 {
		b.WriteString(".SH DESCRIPTION\n.nf\n")
		for _, line := range h.Description {
			b.WriteString(roffLine(line))
		}
		b.WriteString(".fi\n")
	}
	if len(h.Commands) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, c := range h.Commands {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s", roff(strings.Join(c.Names, ", ")), roffLine(c.Text))
		}
	}
	b.WriteString(".SH OPTIONS\n")
	for _, o := range h.Options {
		b.WriteString(".TP\n")
		for i, n := range o.Names {
			if i > 0 {
				b.WriteString(", ")
			}
			flag, value, _ := strings.Cut(n, " ")
			fmt.Fprintf(&b, "\\fB%s\\fR", roff(flag))
			if value != "" {
				fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
			}
		}
		text := o.Text
		if o.Given != "" {
			text += " (default: " + o.Given + ")"
		}
		b.WriteString("\n" + roffLine(text))
	}
	if len(h.Options) > 1 {
		fmt.Fprintf(&b, ".SH ENVIRONMENT\n.TP\n.B %s\nEvery option can be given in the environment too, here \\-\\-%s. The command line is stronger.\n",
			roff(h.variable(Flag(h.Options[0].Names[0]))), roff(Flag(h.Options[0].Names[0])))
	}
	b.WriteString(".SH EXIT STATUS\n0 when all went well or Ctrl\\-C ended it, 1 for a failure while running, 2 for a mistake in the request.\n")
	if h.Name != "framepipe" {
		b.WriteString(".SH SEE ALSO\n.BR framepipe (1)\n")
	} else {
		b.WriteString(".SH SEE ALSO\n")
		var others []string
		for _, c := range h.Commands {
			if c.Names[0] != "help" {
				others = append(others, ".BR framepipe\\-"+roff(c.Names[0])+" (1)")
			}
		}
		b.WriteString(strings.Join(others, ",\n") + "\n")
	}
	return name + ".1", b.String()
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`)

func roff(s string) string { return roffEscapes.Replace(s) }

// roffLine is a line of text, which must not begin as a request does.
func roffLine(s string) string {
	if strings.HasPrefix(s, ".") {
		return `\&` + roff(s) + "\n"
	}
	return roff(s) + "\n"
}

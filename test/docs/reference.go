package docs

import (
	"fmt"
	"slices"
	"strings"
)

// Reference is docs/commands.md.
func Reference(all []*Help) string {
	var b strings.Builder
	b.WriteString(`# Every command and flag

What ` + "`framepipe COMMAND --help`" + ` and the man pages say, in one page: made from the program's own output by ` + "`go test ./test/docs -update`" + `, and a test compares the three. [The guide](../README.md) says what is usual.

Flags may be written ` + "`-name door`, `--name door` or `--name=door`" + `, and be given in the environment: ` + "`FRAMEPIPE_SEND_SOURCE=pattern` is `framepipe send --source pattern`, `FRAMEPIPE_EXPERIMENT_RUN_OUT=DIR` is `framepipe experiment run --out DIR`" + `.
`)
	for _, h := range all {
		if h.Name == "framepipe" {
			continue // its commands follow, and it has no flags
		}
		fmt.Fprintf(&b, "\n## %s\n\n    %s\n\n%s.\n", h.Name, h.Usage, upper(strings.TrimSuffix(h.Text, ".")))
		if len(h.Description) > 0 && !slices.Contains(h.Description, "") { // a longer one has its own layout, and is in --help
			fmt.Fprintf(&b, "%s\n", cell(strings.Join(h.Description, " ")))
		}
		var rows []string
		for _, o := range h.Options {
			if Flag(o.Names[0]) == "help" {
				continue
			}
			text := cell(o.Text)
			if o.Given != "" {
				text += " (default: " + cell(o.Given) + ")"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", strings.Join(o.Names, "`, `"), text))
		}
		if len(rows) > 0 {
			b.WriteString("\n| | |\n|---|---|\n" + strings.Join(rows, ""))
		}
	}
	return b.String()
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// cell keeps a text from being read as Markdown.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "_", `\_`).Replace(s)
}

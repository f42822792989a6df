package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"framepipe/experiment/plan"
	"framepipe/experiment/report"
	"framepipe/experiment/result"
)

func compareCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "compare", Usage: "compare two result folders, setting by setting", ArgsUsage: "A B",
		Description: "The second is compared with the first. With --fail-if, exit status 1 says that the condition holds for\nsome setting, by a difference that is more than chance.",
		Flags: withEnv("experiment_compare", []cli.Flag{
			&cli.StringSliceFlag{Name: "fail-if", Usage: "exit with 1 if, for a setting, B differs from A so: 'fps < -5%', 'latency-p50 > 10%', 'age-p99 > 20'"},
		}),
		Action: func(_ context.Context, c *cli.Command) error { return compare(e, c) },
	}
}

func compare(e *env, c *cli.Command) error {
	if c.Args().Len() != 2 {
		return usagef("framepipe experiment compare A B", "compare needs two result folders")
	}
	var conditions []report.Condition
	for _, s := range c.StringSlice("fail-if") {
		x, err := report.ParseCondition(s)
		if err != nil {
			return &usageError{err: fmt.Errorf("--fail-if %w", err)}
		}
		conditions = append(conditions, x)
	}
	var both [2]*report.Analysis
	for i := range both {
		a, err := report.Load(c.Args().Get(i))
		if err != nil {
			return &usageError{err: err}
		}
		both[i] = a
	}
	v, err := report.Compare(both[0], both[1])
	if err != nil {
		return &usageError{err: err}
	}
	if err := v.Print(e.stdout); err != nil {
		return err
	}
	var failed []string
	for i, x := range conditions {
		for _, f := range v.Failures(x) {
			failed = append(failed, fmt.Sprintf("%s (%s)", f, strings.TrimSpace(c.StringSlice("fail-if")[i])))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("the second is worse than allowed: %s", strings.Join(failed, "; "))
	}
	return nil
}

func listCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list presets, and the result folders in DIR", ArgsUsage: "[DIR]",
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Len() > 1 {
				return usagef("framepipe experiment list DIR", "list takes one folder")
			}
			return list(e, c.Args().First())
		},
	}
}

func list(e *env, dir string) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if dir == "" {
		fmt.Fprintln(t, "PRESET\tSETTINGS\tTIME\tQUICK\tWHAT")
		for _, name := range plan.Presets() {
			p, _, err := plan.Preset(name, false)
			if err != nil {
				return err
			}
			q, _, err := plan.Preset(name, true)
			if err != nil {
				return err
			}
			fmt.Fprintf(t, "%s\t%d\t%v\t%v\t%s\n", name, len(p.Cells()), p.Time().Round(1e9), q.Time().Round(1e9), p.Description)
		}
		dir = "."
	}
	plans, err := filepath.Glob(filepath.Join(dir, "*", result.PlanFile))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, result.PlanFile)); err == nil {
		plans = append(plans, filepath.Join(dir, result.PlanFile))
	}
	if len(plans) > 0 {
		fmt.Fprintln(t, "FOLDER\tEXPERIMENT\tRECORDS\tCAMERA\tBEGUN")
	}
	for _, p := range plans {
		d, err := result.Read(filepath.Dir(p))
		if err != nil {
			fmt.Fprintf(t, "%s\t%s\n", filepath.Dir(p), oneLine(err.Error()))
			continue
		}
		want := len(d.Plan.Cells()) * d.Plan.Records * d.Plan.Repeats
		fmt.Fprintf(t, "%s\t%s\t%d of %d\t%s\t%s\n", d.Dir, d.Plan.Name, len(d.Valid()), want, d.Manifest.Name, d.Manifest.Created.Format("2006-01-02 15:04"))
	}
	return t.Flush()
}

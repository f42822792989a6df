package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/experiment"
	"framepipe/experiment/plan"
	"framepipe/experiment/report"
	"framepipe/experiment/result"
)

func experimentCommand(e *env) *cli.Command {
	run := &cli.Command{
		Name: "run", Usage: "measure a matrix of settings on one camera", ArgsUsage: "PLAN.yaml | PRESET",
		Description: "Presets: " + strings.Join(plan.Presets(), ", ") + ".\n" +
			"With --camera, a camera that connects to this machine (framepipe send) is commanded from here and stays\nconnected; with --local, camera and receiver run in this process. Beside a running framepipe receive, which has the camera,\nthat receiver carries the experiment out (--receiver URL for another one). Ctrl-C keeps what was measured; --resume goes on.",
		Flags: withEnv("experiment_run", append(benchFlags(),
			&cli.StringFlag{Name: "receiver", Usage: "have the receiver whose page is at `URL` carry it out", DefaultText: ownReceiver + " if one of ours has --listen's port"},
			&cli.StringFlag{Name: "out", Usage: "the result folder, `DIR`"},
			&cli.IntFlag{Name: "records", Usage: "records in each visit to a setting", DefaultText: "as planned"},
			&cli.DurationFlag{Name: "record-length", Usage: "length of a record", DefaultText: "as planned"},
			&cli.IntFlag{Name: "repeats", Usage: "visits to each setting", DefaultText: "as planned"},
			&cli.IntFlag{Name: "seed", Usage: "of the order and of the intervals", DefaultText: "as planned"},
			&cli.BoolFlag{Name: "quick", Usage: "a short version, for a first look"},
			&cli.BoolFlag{Name: "resume", Usage: "go on with the experiment in --out"},
		)),
		Action: func(ctx context.Context, c *cli.Command) error { return experimentRun(ctx, e, c) },
	}
	rep := &cli.Command{
		Name: "report", Usage: "make report, figures and tables of a result folder again", ArgsUsage: "DIR",
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Len() != 1 {
				return usagef("framepipe experiment report DIR", "report needs one result folder")
			}
			return makeReport(e, c.Args().First())
		},
	}
	return &cli.Command{
		Name: "experiment", Usage: "measure settings against each other, honestly, and report",
		Commands: []*cli.Command{run, rep, compareCommand(e), listCommand(e)},
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return usagef("framepipe experiment --help lists what there is", "unknown: experiment %s", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func makeReport(e *env, dir string) error {
	a, err := report.Make(dir)
	if err != nil {
		return err
	}
	printConclusion(e, a)
	return nil
}

func printConclusion(e *env, a *report.Analysis) {
	for _, f := range a.Findings {
		fmt.Fprintln(e.stdout, f)
	}
	if a.Command != "" {
		fmt.Fprintf(e.stdout, "Best setting: %s. To use it:\n    %s\n", a.Cells[a.Best].Text, a.Command)
	}
	for _, w := range a.Warnings {
		fmt.Fprintln(e.stdout, "Mind: "+w)
	}
	fmt.Fprintln(e.stdout, "Report: "+filepath.Join(a.Data.Dir, "report.html"))
}

// loadPlan reads a preset or a file, and what flags change of it.
func loadPlan(c *cli.Command, name string) (*plan.Plan, error) {
	p, found, err := plan.Preset(name, c.Bool("quick"))
	if !found {
		b, e := os.ReadFile(name)
		if errors.Is(e, fs.ErrNotExist) {
			return nil, usagef("presets are "+strings.Join(plan.Presets(), ", "), "there is neither a file nor a preset %q", name)
		}
		if err = e; err == nil {
			if p, err = plan.Parse(name, b); err == nil && c.Bool("quick") {
				p.Quicken()
			}
		}
	}
	if err != nil {
		return nil, &usageError{err: err}
	}
	if c.IsSet("records") {
		p.Records = c.Int("records")
	}
	if c.IsSet("record-length") {
		p.Length = c.Duration("record-length")
	}
	if c.IsSet("repeats") {
		p.Repeats = c.Int("repeats")
	}
	if c.IsSet("seed") {
		p.Seed = uint64(c.Int("seed"))
	}
	if c.IsSet("link") {
		p.Link = c.String("link")
	}
	if p.Name == "" {
		p.Name = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	}
	if c.Bool("local") {
		p.Source = cmp.Or(c.String("source"), p.Source, "pattern")
	} else {
		p.Source = ""
	}
	if err := p.Check(); err != nil {
		return nil, &usageError{err: err}
	}
	return p, nil
}

// openFolder makes the result folder, or opens the one to go on with.
func openFolder(c *cli.Command) (*result.Folder, error) {
	dir := c.String("out")
	if dir == "" {
		return nil, usagef("--out DIR is where results go", "experiment run needs --out")
	}
	name := c.Args().First()
	if c.Args().Len() > 1 {
		return nil, usagef("one plan or preset at a time", "more than one plan: %s", strings.Join(c.Args().Slice(), " "))
	}
	if !c.Bool("resume") {
		if name == "" {
			return nil, usagef("presets are "+strings.Join(plan.Presets(), ", "), "which experiment? Name a plan file or a preset")
		}
		p, err := loadPlan(c, name)
		if err != nil {
			return nil, err
		}
		f, err := result.Create(dir, p)
		if errors.Is(err, fs.ErrExist) {
			return nil, usagef("--resume goes on with it; or choose another --out", "%s holds an experiment already", dir)
		}
		if err != nil {
			return nil, folderError(err)
		}
		return f, nil
	}
	for _, flag := range []string{"records", "record-length", "repeats", "seed", "quick", "link"} {
		if c.IsSet(flag) {
			return nil, usagef("an experiment is resumed as it was planned; leave --"+flag+" out", "--resume and --%s exclude each other", flag)
		}
	}
	f, err := result.Open(dir)
	if err != nil {
		return nil, folderError(err)
	}
	return f, nil
}

// folderError gives hints to what commonly keeps a folder from being written.
func folderError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &hinted{err, "make room on the disk, then go on with --resume: every finished record is kept"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &usageError{err, "choose a folder that you may write with --out"}
	}
	return err
}

func experimentRun(ctx context.Context, e *env, c *cli.Command) error {
	if err := checkBench(c); err != nil {
		return err
	}
	folder, err := openFolder(c)
	if err != nil {
		return err
	}
	defer folder.Close()
	con := newConsole(e.stderr, c.Bool("quiet"))
	log := con.logger()
	r, err := receiverFor(ctx, c)
	if err != nil {
		return discard(folder, err)
	}
	if r != nil {
		return runRemote(ctx, e, c, con, r, folder)
	}
	b, err := openBench(ctx, c, e, con, folder.Plan.Link, cmp.Or(folder.Plan.Source, c.String("source")), folder.Plan.Seed)
	if err != nil {
		return discard(folder, err)
	}
	defer b.close()
	log.Info(fmt.Sprintf("%d settings, %d visits, about %v", len(folder.Plan.Cells()), len(folder.Plan.Order()), folder.Plan.Time().Round(time.Second)))
	err = experiment.Run(b.ctx, experiment.Config{Folder: folder, Camera: b.cameraFor(folder), Late: b.late, Log: log,
		Progress: func(p experiment.Progress) { showProgress(con, p) }})
	con.setStatus("")
	if e := b.close(); e != nil && ctx.Err() == nil { // the camera's own error explains more
		err = e
	}
	refused, isRefused := errors.AsType[*experiment.RefusedError](err)
	switch {
	case isRefused:
		return discard(folder, &usageError{refused, cmp.Or(refused.Hint, "change this level in the plan; framepipe devices tells what the camera can do")})
	case err != nil && len(folder.Rows) == 0 && len(folder.Visits) == 0:
		if ctx.Err() != nil {
			return discard(folder, nil)
		}
		return discard(folder, folderError(err))
	case errors.Is(err, experiment.ErrUnfinished) && ctx.Err() != nil:
		log.Info("stopped; what was measured is kept. To go on: framepipe experiment run --resume --out " + folder.Dir + " …")
		err = nil
	case err != nil:
		err = folderError(err)
	}
	if e := makeReport(e, folder.Dir); e != nil {
		err = errors.Join(err, folderError(e))
	}
	return err
}

// discard removes a folder in which nothing was measured, so that the same command
// line works once the cause is mended.
func discard(f *result.Folder, err error) error {
	f.Discard()
	return err
}

func showProgress(con *console, p experiment.Progress) {
	if p.Finished {
		con.logger().Info(p.Line())
		return
	}
	con.setStatus(p.Line())
}

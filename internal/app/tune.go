package app

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/experiment"
	"framepipe/experiment/plan"
	"framepipe/experiment/report"
	"framepipe/experiment/tune"
)

// tuneSpace is what is searched where no plan says otherwise.
const tuneSpace = `
name: tune
fixed: {format: jpeg, mode: sequence, port: video, policy: gated}
factors:
  size: [320x240, 640x480, 800x600, 1280x720]
  quality: [40, 60, 75, 85, 92]
warmup: 300ms
`

func tuneCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "tune", Usage: "find the settings that reach a frame rate and latency on this camera and link", ArgsUsage: "[PLAN.yaml]",
		Description: "Measures settings briefly, keeps those that may reach the goal, and measures them longer; what is hopeless\nis left early. A plan's factors and fixed settings say what is searched; without one: sizes up to 1280x720 and\nJPEG qualities from 40 to 92.",
		Flags: withEnv("tune", append(benchFlags(),
			&cli.FloatFlag{Name: "min-fps", Value: 25, Usage: "frames per second that are to be reached"},
			&cli.DurationFlag{Name: "max-latency", Value: 100 * time.Millisecond, Usage: "latency that 99 of 100 frames may have, capture to delivery"},
			&cli.StringFlag{Name: "prefer", Value: "quality", Usage: "of those that reach it: quality, size or cpu"},
			&cli.DurationFlag{Name: "record-length", Value: 8 * time.Second, Usage: "length of a full measurement"},
			&cli.BoolFlag{Name: "apply", Usage: "leave the camera running with the settings that were found"},
			&cli.StringFlag{Name: "out", Value: "tune", Usage: "folder for the plot and the table"},
		)),
		Action: func(ctx context.Context, c *cli.Command) error { return runTune(ctx, e, c) },
	}
}

func runTune(ctx context.Context, e *env, c *cli.Command) error {
	if err := checkBench(c); err != nil {
		return err
	}
	goal := tune.Goal{MinFPS: c.Float("min-fps"), MaxLatency: c.Duration("max-latency"), Prefer: tune.Prefer(c.String("prefer"))}
	switch {
	case !(goal.MinFPS > 0 && goal.MinFPS <= 1000):
		return usagef("", "--min-fps %v: use more than 0, up to 1000", goal.MinFPS)
	case goal.MaxLatency <= 0:
		return usagef("", "--max-latency %v: use more than 0", goal.MaxLatency)
	case goal.Prefer != tune.Quality && goal.Prefer != tune.Size && goal.Prefer != tune.CPU:
		return usagef("", "--prefer %s: use quality, size or cpu", goal.Prefer)
	case c.Duration("record-length") < time.Second:
		return usagef("", "--record-length %v: use 1s or more", c.Duration("record-length"))
	case c.Args().Len() > 1:
		return usagef("framepipe tune PLAN.yaml", "tune takes one plan")
	}
	p, err := plan.Parse("the search space", []byte(tuneSpace))
	if name := c.Args().First(); name != "" {
		var b []byte
		if b, err = os.ReadFile(name); err == nil {
			p, err = plan.Parse(name, b)
		}
	}
	if err != nil {
		return &usageError{err: err}
	}
	if err := os.MkdirAll(c.String("out"), 0o777); err != nil {
		return folderError(err)
	}
	con := newConsole(e.stderr, c.Bool("quiet"))
	log := con.logger()
	source := ""
	if c.Bool("local") {
		if source = c.String("source"); source == "" {
			source = "pattern?noise=20"
		}
	}
	link := c.String("link")
	b, err := openBench(ctx, c, e, con, link, source, 1)
	if err != nil {
		return err
	}
	defer b.close()
	cam, err := b.camera(b.ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	r, err := tune.Search(b.ctx, tune.Config{Cells: p.Cells(), Goal: goal, Length: c.Duration("record-length"), Said: func(s string) { log.Info(s) },
		Measure: func(ctx context.Context, cell *plan.Cell, length time.Duration, stop func(tune.Score) bool) (tune.Score, error) {
			con.setStatus("measuring " + cell.ID)
			defer con.setStatus("")
			return experiment.Measure(ctx, cam, cell, p.Warmup, length, stop)
		}})
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C
		}
		return errors.Join(err, b.close())
	}
	if err := showTune(e, c.String("out"), r, goal, source, time.Since(began)); err != nil {
		return folderError(err)
	}
	if c.Bool("apply") && r.Best >= 0 {
		set, err := r.Candidates[r.Best].Wire()
		if err != nil {
			return err
		}
		st, err := cam.Control(b.ctx, set)
		if err == nil && st.Error != "" {
			err = errors.New(st.Error)
		}
		if err != nil {
			return fmt.Errorf("applying the settings: %w", err)
		}
		fmt.Fprintln(e.stdout, "The camera runs with these settings now.")
	}
	if r.Best < 0 {
		return &hinted{fmt.Errorf("no setting reaches %g fps within %v", goal.MinFPS, goal.MaxLatency), "the nearest one is above; allow more latency or fewer frames, or search smaller pictures with a plan"}
	}
	return nil
}

func showTune(e *env, dir string, r *tune.Result, goal tune.Goal, source string, took time.Duration) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "setting\tfps\tlatency 99 %\tkB/frame\tfor\t")
	f, err := os.Create(filepath.Join(dir, "tune.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	_ = w.Write([]string{"setting", "fps", "latency_p99_ms", "mean_frame_bytes", "encode_ms", "measured_s", "pareto", "left_out"}) // its error is Flush's
	text := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	for i, c := range r.Candidates {
		_ = w.Write([]string{c.ID, text(c.FPS), text(c.Latency), text(c.Bytes), text(c.Encode), text(c.For.Seconds()), strconv.FormatBool(c.Front), c.Left})
		if c.Front || i == r.Best || i == r.Nearest {
			mark := ""
			if i == r.Best {
				mark = "<- best"
			}
			fmt.Fprintf(t, "%s\t%.1f\t%.1f ms\t%.1f\t%.1f s\t%s\n", c.ID, c.FPS, c.Latency, c.Bytes/1000, c.For.Seconds(), mark)
		}
	}
	if w.Flush(); w.Error() != nil {
		return w.Error()
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := report.Pareto(dir, r, goal); err != nil {
		return err
	}
	if r.Best >= 0 {
		fmt.Fprintf(e.stdout, "Best by %s (%v of measuring, %v in all). To use it, type at the camera:\n    %s\n", goal.Prefer, duration(r.Spent), duration(took), report.Command(&r.Candidates[r.Best].Cell, source))
	} else if r.Nearest >= 0 {
		fmt.Fprintf(e.stdout, "Nearest: %s\n", r.Candidates[r.Nearest].ID)
	}
	_, err = fmt.Fprintln(e.stdout, "Plot: "+filepath.Join(dir, "pareto.svg")+", all settings: "+filepath.Join(dir, "tune.csv"))
	return err
}

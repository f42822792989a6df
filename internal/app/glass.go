package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/internal/glass"
	"framepipe/stream"
)

func glassCommand(e *env) *cli.Command {
	flags := append(captureFlags(""),
		&cli.StringFlag{Name: "listen", Value: ":1308", Usage: "where cameras connect to"},
		&cli.StringFlag{Name: "http", Value: "127.0.0.1:8080", Usage: "where the page with the code is"},
		&cli.StringFlag{Name: "camera", Usage: "the camera that films the screen; the first one that can read the code unless given"},
		&cli.IntFlag{Name: "readings", Value: 300, Usage: "end after so many frames that could be read"},
		&cli.DurationFlag{Name: "for", Value: 2 * time.Minute, Usage: "end after so long"},
		&cli.StringFlag{Name: "picture", Value: "glass.png", Usage: "write what the camera saw, with what was read in it, to `FILE`; \"\" = do not"},
		&cli.StringFlag{Name: "token", Usage: "accept only cameras that know this secret"},
		&cli.BoolFlag{Name: "json", Usage: "write the result as JSON to standard output"},
	)
	return &cli.Command{
		Name: "glass", Usage: "true glass-to-glass latency: film the screen that shows the time",
		Description: "A page shows a code that changes with every refresh of the screen. A camera that films it\n" +
			"sends its frames here, as always (framepipe send ADDRESS, or --source for a camera of this\n" +
			"machine), and the numbers in them tell when they were on the screen: one clock, no special\n" +
			"hardware. Open the page's address on the screen, point the camera at it, and wait.",
		Flags: withEnv("glass", flags),
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return usagef("the camera dials: framepipe send ADDRESS", "glass takes no address, but got %q", c.Args().First())
			}
			return runGlass(ctx, e, c)
		},
	}
}

func runGlass(ctx context.Context, e *env, c *cli.Command) error {
	con := newConsole(e.stderr, false)
	r := &receiving{env: e, con: con, log: con.logger(), quiet: true}
	switch {
	case c.Int("readings") < 10:
		return usagef("", "--readings %d: use 10 or more", c.Int("readings"))
	case c.Duration("for") <= 0:
		return usagef("", "--for %v: use more than 0", c.Duration("for"))
	case c.String("http") == "":
		return usagef("give it an address with --http", "the code is shown by a page")
	}
	local, err := cameraConfig(c)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return listenError(err, "--listen", c.String("listen"))
	}
	r.log.Info("waiting for cameras on " + ln.Addr().String())
	ctx, cancel := context.WithTimeout(ctx, c.Duration("for"))
	defer cancel()
	var best *glass.Watcher
	r.beside = func(ctx context.Context) {
		r.log.Info("show " + r.page + "glass on the screen, large, and point the camera at it")
		said := ""
		every(ctx, 500*time.Millisecond, func() {
			best = r.bestGlass(c.String("camera"))
			if best == nil {
				return
			}
			s := best.State()
			if s.Read >= c.Int("readings") {
				r.stop()
				return
			}
			if text := glassTrouble(&s); text != said && text != "" {
				r.log.Info(text)
				said = text
			}
		})
	}
	cfg := stream.ReceiverConfig{Software: "framepipe " + Version(), Admit: admit(c.String("token")), Log: r.log}
	if err := r.run(ctx, cfg, ln, c.String("http"), local); err != nil {
		return err
	}
	if best == nil {
		return &hinted{errors.New("nothing was measured: no page showed the code, or no camera came"), "open the page's address with glass behind it on the screen, and start the camera"}
	}
	s := best.State()
	if name := c.String("picture"); name != "" {
		if err := writePicture(name, best); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		b, err := json.MarshalIndent(&s, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(e.stdout, string(b))
	} else {
		fmt.Fprint(e.stdout, glassText(&s))
	}
	if s.Read == 0 {
		return &hinted{fmt.Errorf("the code could not be read in any of %d frames: %s", s.Frames, cmp.Or(s.Now, "the screen told no times")), s.Hint}
	}
	return nil
}

// bestGlass is the watcher of the camera that was asked for, or of the one that
// reads most.
func (r *receiving) bestGlass(name string) (best *glass.Watcher) {
	most := -1
	for _, f := range r.recv.Feeds() {
		if name != "" && f.Name() != name {
			continue
		}
		if w, ok := r.web.Glass(f); ok {
			if n := w.State().Read; n > most {
				most, best = n, w
			}
		}
	}
	return best
}

func glassTrouble(s *glass.State) string {
	switch {
	case s.Now != "" && s.Read == 0:
		return s.Camera + ": " + s.Now + "; " + s.Hint
	case s.Read > 0:
		return fmt.Sprintf("%s: the code is being read", s.Camera)
	}
	return ""
}

func glassText(s *glass.State) string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	line("camera %s: %d of %d frames read", s.Camera, s.Read, s.Frames)
	for _, cause := range slices.Sorted(maps.Keys(s.Unread)) {
		line("  not read: %s, %d", cause, s.Unread[cause])
	}
	if s.Note != "" {
		line("  note: %s", s.Note)
	}
	if s.Read == 0 {
		return b.String()
	}
	line("painted on the screen → delivered:  p50 %.1f  p90 %.1f  p99 %.1f  max %.1f ms", s.P50, s.P90, s.P99, s.Max)
	line("  one reading is right within ± %.1f ms (half a refresh of %.1f ms, and the page's clock), and the exposure", s.Bound, s.Refresh)
	if y := s.Synced; y != nil {
		word := "agrees"
		if !y.Agrees {
			word = "DOES NOT AGREE"
		}
		line("by the clocks, captured → delivered: p50 %.1f ± %.1f ms; %s: the difference of %.1f ms is %s", y.P50, y.Bound, word, y.Difference, strings.TrimPrefix(y.Why, "the difference is "))
	}
	return b.String()
}

func writePicture(name string, w *glass.Watcher) error {
	img := w.Picture()
	if img == nil {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("--picture: %w", err)
	}
	return errors.Join(png.Encode(f, img), f.Close())
}

package app

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/camera"
	"framepipe/capture"
	"framepipe/capture/open"
	"framepipe/frame"
)

// withEnv lets every flag of a command come from the environment too, as
// FRAMEPIPE_<COMMAND>_<FLAG>.
func withEnv(command string, flags []cli.Flag) []cli.Flag {
	for _, f := range flags {
		name := f.Names()[0]
		src := cli.EnvVars("FRAMEPIPE_" + strings.ToUpper(command+"_"+strings.ReplaceAll(name, "-", "_")))
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Sources = src
		case *cli.IntFlag:
			f.Sources = src
		case *cli.BoolFlag:
			f.Sources = src
		case *cli.FloatFlag:
			f.Sources = src
		case *cli.DurationFlag:
			f.Sources = src
		case *cli.StringSliceFlag:
			f.Sources = src
		default:
			panic(fmt.Sprintf("flag %s has a type that withEnv does not know", name))
		}
	}
	return flags
}

// originSize is the size of the origin's pictures.
const originWidth, originHeight = 320, 240

// captureFlags choose a camera and what is asked of it; shared by send and
// receive. The spellings of the origin's script are aliases.
func captureFlags(defaultSource string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "source", Value: defaultSource, Usage: open.Usage},
		&cli.IntFlag{Name: "width", Aliases: []string{"W", "img_width"}, Value: originWidth, Usage: "picture width in pixels"},
		&cli.IntFlag{Name: "height", Aliases: []string{"H", "img_height"}, Value: originHeight, Usage: "picture height in pixels"},
		&cli.FloatFlag{Name: "fps", Usage: "frames per second; 0 = the fastest that the camera offers (pattern: 30)"},
		&cli.StringFlag{Name: "format", Aliases: []string{"img_format"}, Value: "jpeg", Usage: "what is sent: jpeg, yuv or rgb"},
		&cli.IntFlag{Name: "quality", Value: capture.DefaultQuality, Usage: "JPEG quality, 1 to 100"},
		&cli.StringFlag{Name: "mode", Value: "sequence", Usage: "sequence (runs through) or continuous (one frame asked for at a time)"},
		&cli.BoolFlag{Name: "sequence", Aliases: []string{"seq"}, Usage: "the same as --mode sequence"},
		&cli.BoolFlag{Name: "continuous", Aliases: []string{"cont"}, Usage: "the same as --mode continuous"},
		&cli.StringFlag{Name: "camera-port", Aliases: []string{"videoport", "vidport"}, Value: "video", Usage: "video (or 1): fast; still (or 0): full sensor mode for each frame, slow"},
		&cli.DurationFlag{Name: "warmup", Value: -1, Usage: "let the camera settle before the first frame; 2s for real cameras, 0 for others", DefaultText: "by source"},
		&cli.StringSliceFlag{Name: "control", Usage: "set a camera control, `NAME=VALUE`; may be repeated (see framepipe devices)"},
		&cli.IntFlag{Name: "rotate", Usage: "turn the picture clockwise by 0, 90, 180 or 270 degrees"},
		&cli.BoolFlag{Name: "hflip", Usage: "mirror the picture left to right"},
		&cli.BoolFlag{Name: "vflip", Usage: "mirror the picture top to bottom"},
	}
}

// cameraConfig reads captureFlags.
func cameraConfig(c *cli.Command) (camera.Config, error) {
	var cfg camera.Config
	var err error
	fail := func(err error) (camera.Config, error) { return cfg, &usageError{err: err} }
	want := &cfg.Capture
	if want.Format, err = frame.ParseFormat(c.String("format")); err != nil {
		return fail(err)
	}
	if want.Mode, err = capture.ParseMode(c.String("mode")); err != nil {
		return fail(err)
	}
	switch seq, cont := c.Bool("sequence"), c.Bool("continuous"); {
	case seq && cont:
		return fail(errors.New("-seq and -cont exclude each other"))
	case seq:
		want.Mode = capture.Sequence
	case cont:
		want.Mode = capture.Continuous
	}
	if want.Port, err = capture.ParsePort(c.String("camera-port")); err != nil {
		return fail(err)
	}
	const most = 16384
	want.Width, want.Height = c.Int("width"), c.Int("height")
	if want.Width < 1 || want.Height < 1 || want.Width > most || want.Height > most {
		return fail(fmt.Errorf("picture size %dx%d: use 1 to %d each way", want.Width, want.Height, most))
	}
	if want.FPS = c.Float("fps"); !(want.FPS >= 0 && want.FPS <= 1000) {
		return fail(fmt.Errorf("--fps %v: use 0 to 1000", want.FPS))
	}
	if want.Quality = c.Int("quality"); want.Quality < 1 || want.Quality > 100 {
		return fail(fmt.Errorf("--quality %d: use 1 to 100", want.Quality))
	}
	for _, s := range c.StringSlice("control") {
		name, value, ok := strings.Cut(s, "=")
		v, err := strconv.ParseInt(value, 0, 64)
		if !ok || err != nil || name == "" {
			return fail(fmt.Errorf("--control %q: write NAME=NUMBER", s))
		}
		if want.Controls == nil {
			want.Controls = make(map[string]int64)
		}
		want.Controls[name] = v
	}
	switch cfg.Rotate = c.Int("rotate"); cfg.Rotate {
	case 0, 90, 180, 270:
	default:
		return fail(fmt.Errorf("--rotate %d: use 0, 90, 180 or 270", cfg.Rotate))
	}
	cfg.FlipH, cfg.FlipV = c.Bool("hflip"), c.Bool("vflip")
	cfg.Source = c.String("source")
	if cfg.Warmup = c.Duration("warmup"); cfg.Warmup < 0 {
		cfg.Warmup = open.Warmup(cfg.Source)
	}
	door := new(door)
	cfg.Open, cfg.WaitFor = door.open, door.waitFor
	cfg.Patient = finite(cfg.Source) && unpaced(cfg.Source)
	return cfg, nil
}

// finite reports whether a source ends by itself, so that its beginning must not
// be lost while the receiver is not there yet.
func finite(source string) bool { return source == "-" || strings.HasPrefix(source, "replay:") }

// unpaced reports whether a source gives frames as fast as they are taken.
func unpaced(source string) bool { return strings.Contains(source, "rate=max") }

// duration shows a time without useless digits.
func duration(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

//go:build linux

package rpicam

import (
	"fmt"
	"sort"
	"strconv"

	"framepipe/capture"
	"framepipe/frame"
)

// arguments are what can be left out for old versions of the program.
type arguments struct {
	index    string
	metadata bool
	noRaw    bool
}

// complete fills in what was left open.
func complete(cfg capture.Config) (capture.Config, error) {
	if cfg.Format == 0 {
		cfg.Format = frame.JPEG
	}
	if cfg.Quality == 0 {
		cfg.Quality = capture.DefaultQuality
	}
	switch {
	case cfg.Width == 0 && cfg.Height == 0:
		cfg.Width, cfg.Height = 640, 480
	case cfg.Width == 0:
		cfg.Width = cfg.Height * 4 / 3
	case cfg.Height == 0:
		cfg.Height = cfg.Width * 3 / 4
	}
	cfg.Width, cfg.Height = cfg.Width+cfg.Width&1, cfg.Height+cfg.Height&1 // YUV 4:2:0 comes in pairs
	if cfg.Width < 16 || cfg.Height < 16 || cfg.Width > 16384 || cfg.Height > 16384 {
		return cfg, fmt.Errorf("size %dx%d is not within 16 to 16384", cfg.Width, cfg.Height)
	}
	if cfg.FPS == 0 {
		cfg.FPS = 30 // the program's own default
	}
	if !(cfg.FPS > 0 && cfg.FPS <= 1000) {
		return cfg, fmt.Errorf("%g frames per second", cfg.FPS)
	}
	for name := range cfg.Controls {
		if _, ok := controls[name]; !ok {
			return cfg, fmt.Errorf("unknown control %q", name)
		}
	}
	return cfg, nil
}

// controls that the programs take as options, with whole numbers.
var controls = map[string]string{"shutter": "--shutter", "gain": "--gain", "ev": "--ev", "hflip": "--hflip", "vflip": "--vflip"}

func controlNames() []string {
	var names []string
	for n := range controls {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// controlArgs are the options for cfg's controls, in a fixed order.
func controlArgs(cfg capture.Config) []string {
	var args []string
	for _, n := range controlNames() {
		if v, ok := cfg.Controls[n]; ok {
			args = append(args, controls[n], strconv.FormatInt(v, 10))
		}
	}
	return args
}

// videoArgs is the command line; see the package comment for the reasons.
func videoArgs(a arguments, cfg capture.Config, fifo string) []string {
	args := []string{"-t", "0", "-n", "--camera", a.index, "-o", "-", "--flush",
		"--width", strconv.Itoa(cfg.Width), "--height", strconv.Itoa(cfg.Height),
		"--framerate", strconv.FormatFloat(cfg.FPS, 'f', -1, 64), "--denoise", "cdn_off"}
	if cfg.Format == frame.JPEG {
		args = append(args, "--codec", "mjpeg", "-q", strconv.Itoa(cfg.Quality))
	} else {
		args = append(args, "--codec", "yuv420", "--verbose", "2")
	}
	if a.noRaw {
		args = append(args, "--no-raw")
	}
	if a.metadata {
		args = append(args, "--metadata", fifo, "--metadata-format", "txt")
	}
	return append(args, controlArgs(cfg)...)
}

// Package open turns the text that people give to --source into a camera.
//
// The sources themselves are in the packages beside this one; nothing else needs to
// know their names.
package open

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"framepipe/capture"
	"framepipe/capture/mjpegstream"
	"framepipe/capture/pattern"
	"framepipe/capture/replay"
	"framepipe/capture/rpicam"
)

// Usage says what can be given, in one line.
const Usage = "auto, v4l2:/dev/video0, rpicam:0, pattern, replay:PATH, - (JPEGs on standard input), http://HOST/PATH"

// kind is the sort of source that a spec names.
type kind int

const (
	unknown kind = iota
	auto
	v4l2
	rpi
	synthetic
	recorded
	stdin
	network
)

// parse tells the kind and what comes behind its name.
func parse(spec string) (kind, string) {
	switch {
	case spec == "" || spec == "auto":
		return auto, ""
	case spec == "-":
		return stdin, ""
	case strings.HasPrefix(spec, "/dev/"):
		return v4l2, spec
	case strings.HasPrefix(spec, "http://"), strings.HasPrefix(spec, "https://"):
		return network, spec
	}
	if name, _, _ := strings.Cut(spec, "?"); name == "pattern" || name == "pattern:" {
		return synthetic, spec
	}
	name, rest, found := strings.Cut(spec, ":")
	switch {
	case name == "v4l2" && rest != "":
		return v4l2, rest
	case name == "rpicam" || name == "libcamera":
		if !found || rest == "" {
			rest = "0"
		}
		return rpi, rest
	case name == "replay" && rest != "":
		return recorded, spec
	}
	return unknown, ""
}

// Open opens the camera that spec names; see Usage.
func Open(ctx context.Context, spec string, cfg capture.Config) (capture.Camera, error) {
	k, rest := parse(spec)
	switch k {
	case auto:
		return openAuto(ctx, cfg)
	case v4l2:
		return openV4L2(ctx, rest, cfg)
	case rpi:
		return rpicam.Open(ctx, rest, cfg)
	case synthetic:
		return pattern.Open(ctx, spec, cfg)
	case recorded:
		return replay.Open(ctx, spec, cfg)
	case stdin, network:
		return mjpegstream.Open(ctx, spec, cfg)
	}
	return nil, &capture.Error{Op: "open source " + fmt.Sprintf("%q", spec), Err: errors.New("unknown source"),
		Hint: "use one of: " + Usage, Config: true}
}

// Warmup is how long a camera of this kind runs before its first frame counts.
func Warmup(spec string) time.Duration {
	switch k, _ := parse(spec); k {
	case auto, v4l2, rpi:
		return capture.DefaultWarmup
	}
	return 0
}

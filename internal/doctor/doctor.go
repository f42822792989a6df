// Package doctor looks at a machine for what makes a camera stream slow or makes
// it fail, and says for each thing found how to mend it: `framepipe doctor`.
//
// It only looks: it changes nothing, needs no root, and opens no camera. What it
// could not look at (a file that is not there, a program that is not installed,
// another user's processes) is reported with level unknown, never as fine.
//
// Everything is read below a root directory and through a function that runs
// commands, so that the tests hold trees of files as real machines have them.
// Where facts come from: Documentation/networking/ip-sysctl.rst (congestion
// control), Documentation/admin-guide/pm/cpufreq.rst (governors),
// Documentation/ABI/testing/sysfs-bus-usb (speed), and Raspberry Pi's
// documentation of vcgencmd get_throttled (the bits), adjtimex(2).
package doctor

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Level says how bad a finding is.
type Level string

const (
	OK      Level = "ok"      // as it should be
	Info    Level = "info"    // worth knowing, nothing to do
	Warn    Level = "warn"    // costs speed or latency
	Fail    Level = "fail"    // prevents streaming
	Unknown Level = "unknown" // could not be looked at; Text says why
)

// Finding is the result of one check.
type Finding struct {
	Check string `json:"check"` // "camera", "bbr", …
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // a command, or what to do by hand
}

// Options say what to look at.
type Options struct {
	Device string // look at this device, "/dev/video0"; what is no path ("auto") = all cameras
	Codec  string // the JPEG codec in use, as package mjpeg names it; "" = unknown

	Library  bool                                          // this build could use libjpeg-turbo if it were installed
	Encode   time.Duration                                 // what a raw frame of 640x480 takes to compress; 0 = unknown
	Controls func(device string) (map[string]int64, error) // values of a camera's controls by name; nil = nobody can be asked

	Root string                                                                 // where the file system begins; "" = /
	Run  func(ctx context.Context, name string, args ...string) (string, error) // runs a command; nil = really
}

// commandTime bounds each command that is run.
const commandTime = 5 * time.Second

func runCommand(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// Run carries out all checks, in the order in which a person would ask: the
// machine, the camera, the network, what slows it all down.
func Run(ctx context.Context, o Options) []Finding {
	if runtime.GOOS != "linux" && o.Root == "" {
		return []Finding{
			{Check: "machine", Level: Info, Text: runtime.GOOS + "/" + runtime.GOARCH},
			codec(o.Codec),
			{Check: "cameras, network, power", Level: Unknown, Text: "these checks read Linux's /proc and /sys; not looked at on " + runtime.GOOS},
		}
	}
	run := o.Run
	if run == nil {
		run = runCommand
	}
	s := &system{root: o.Root, run: run, id: currentIdentity()}
	return s.check(ctx, o)
}

func (s *system) check(ctx context.Context, o Options) []Finding {
	var all []Finding
	all = append(all, s.machine()...)
	all = append(all, s.cameras(ctx, o)...)
	all = append(all, codec(o.Codec))
	if f, ok := encoding(o); ok {
		all = append(all, f)
	}
	all = append(all, s.bbr(), s.socketOptions())
	all = append(all, s.wifi(ctx)...)
	all = append(all, s.governor(), s.throttling(ctx), s.temperature(), s.clock())
	return all
}

// Render prints findings for people: one line each, the way to mend it below.
func Render(w io.Writer, findings []Finding) error {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%-7s  %-*s  %s\n", f.Level, width, f.Check, f.Text); err != nil {
			return err
		}
		if f.Fix != "" {
			if _, err := fmt.Fprintf(w, "%s  fix: %s\n", strings.Repeat(" ", 7+2+width), f.Fix); err != nil {
				return err
			}
		}
	}
	return nil
}

// Worst is the level of the most serious finding; Unknown counts as Info.
func Worst(findings []Finding) Level {
	rank := map[Level]int{OK: 0, Info: 1, Unknown: 1, Warn: 2, Fail: 3}
	worst := OK
	for _, f := range findings {
		if rank[f.Level] > rank[worst] {
			worst = f.Level
		}
	}
	return worst
}

func codec(name string) Finding {
	if name == "" {
		return Finding{Check: "codec", Level: Unknown, Text: "nobody said which JPEG codec is in use"}
	}
	return Finding{Check: "codec", Level: Info, Text: "JPEG codec: " + name}
}

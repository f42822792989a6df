// Package app is the command line: it reads flags, builds what they ask for out
// of the other packages, runs it, and speaks to the person. It alone knows all
// other packages.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/capture"
	"framepipe/mjpeg"
)

// version is set by the linker for releases.
var version string

// Version is what `framepipe version` and the wire's hello say.
func Version() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		if v := b.Main.Version; v != "" && v != "(devel)" {
			return v
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				return "devel-" + s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	return "devel"
}

// usageError is a mistake in what was typed: exit status 2.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), hint}
}

// hinted adds advice to a failure while running.
type hinted struct {
	err  error
	hint string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// Main runs the program and returns its exit status: 0 when all went well or the
// user ended it, 1 for a failure while running, 2 for a mistake in the request.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	limitMemory()
	return run(ctx, args, stdin, stdout, stderr)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	root := &cli.Command{
		Name:            "framepipe",
		Usage:           "carries camera frames to another machine, fast, and measures each one",
		Version:         Version(),
		HideVersion:     true,
		Writer:          stdout,
		ErrWriter:       stderr,
		ExitErrHandler:  func(context.Context, *cli.Command, error) {},
		OnUsageError:    onUsageError,
		HideHelpCommand: false,
		Commands: []*cli.Command{
			sendCommand(e), receiveCommand(e), demoCommand(e), devicesCommand(e), doctorCommand(e), glassCommand(e), experimentCommand(e), tuneCommand(e), versionCommand(e),
		},
		Before:                          chooseCodec,
		EnableShellCompletion:           true,
		ConfigureShellCompletionCommand: func(c *cli.Command) { c.Hidden = false },
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return usagef("framepipe help lists the commands", "unknown command %q", c.Args().First())
			}
			return cli.ShowRootCommandHelp(c)
		},
	}
	for _, c := range root.Commands {
		c.OnUsageError = onUsageError
		for _, sub := range c.Commands {
			sub.OnUsageError = onUsageError
		}
	}
	return e.report(root.Run(ctx, args))
}

// chooseCodec does what FRAMEPIPE_JPEG says; without it the better codec is taken.
func chooseCodec(ctx context.Context, _ *cli.Command) (context.Context, error) {
	if _, err := mjpeg.Choose(os.Getenv("FRAMEPIPE_JPEG")); err != nil {
		return ctx, usagef("unset FRAMEPIPE_JPEG: the program's own codec is always there", "FRAMEPIPE_JPEG: %w", err)
	}
	return ctx, nil
}

// codecText is what `framepipe doctor` says of the codec; it measures for a moment.
// It also tells what a frame of 640x480 takes to encode, 0 if that is not known.
func codecText() (text string, encode time.Duration) {
	c := mjpeg.Chosen()
	text = c.Encoder
	if c.Decoder != c.Encoder {
		text += ", decoding by " + c.Decoder
	}
	text += " (" + c.Why + ")"
	if enc, dec, err := mjpeg.Measure(640, 480, 85, 200*time.Millisecond); err == nil {
		encode = enc
		text += fmt.Sprintf("; a frame of 640x480 takes %.2f ms to encode, %.2f ms to decode", enc.Seconds()*1e3, dec.Seconds()*1e3)
	}
	return text, encode
}

// withCgo reports whether this program could use libjpeg-turbo.
func withCgo() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"})
}

// env is what commands talk to.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

func onUsageError(_ context.Context, c *cli.Command, err error, _ bool) error {
	return &usageError{err, fmt.Sprintf("%s --help lists the flags", c.FullName())}
}

// report writes one error line, and a hint where there is one.
func (e *env) report(err error) int {
	if err == nil {
		return 0
	}
	status, hint := 1, hintOf(err)
	if _, ok := errors.AsType[*usageError](err); ok || capture.IsConfig(err) {
		status = 2
	}
	fmt.Fprintf(e.stderr, "error: %s\n", oneLine(err.Error()))
	if hint != "" {
		fmt.Fprintf(e.stderr, "hint: %s\n", oneLine(hint))
	}
	return status
}

// hintOf is the advice that an error carries.
func hintOf(err error) string {
	if u, ok := errors.AsType[*usageError](err); ok {
		return u.hint
	}
	if h, ok := errors.AsType[*hinted](err); ok {
		return h.hint
	}
	return capture.Hint(err)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func versionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "say which version this is",
		Action: func(context.Context, *cli.Command) error {
			_, err := fmt.Fprintf(e.stdout, "framepipe %s %s %s/%s\n", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

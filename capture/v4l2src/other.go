//go:build !linux || !(amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"context"

	"framepipe/capture"
	"framepipe/v4l2"
)

func unsupported(op string) error {
	return &capture.Error{Op: op, Err: v4l2.ErrUnsupported, Config: true,
		Hint: "cameras are opened on Linux only; this machine can receive, or send with --source pattern"}
}

// Open fails: there is no V4L2 here.
func Open(_ context.Context, path string, _ capture.Config) (capture.Camera, error) {
	return nil, unsupported("open " + path)
}

// First fails: there is no V4L2 here.
func First() (string, error) { return "", unsupported("find a camera") }

// List is empty: there is no V4L2 here.
func List() ([]DeviceInfo, error) { return nil, nil }

// WaitFor fails: there is no V4L2 here.
func WaitFor(_ context.Context, path string, _ Identity) (string, error) {
	return "", unsupported("wait for " + path)
}

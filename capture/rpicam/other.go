//go:build !linux

package rpicam

import (
	"context"
	"errors"

	"framepipe/capture"
)

var errNoLinux = errors.New("the cameras of a Raspberry Pi are reached on Linux only")

// Open always fails here.
func Open(_ context.Context, index string, _ capture.Config) (capture.Camera, error) {
	return nil, &capture.Error{Op: "open rpicam:" + index, Err: errNoLinux, Hint: "run framepipe send on the Raspberry Pi", Config: true}
}

// List always fails here.
func List(context.Context) ([]Camera, error) {
	return nil, &capture.Error{Op: "list cameras", Err: errNoLinux}
}

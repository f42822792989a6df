package open

import (
	"context"

	"framepipe/capture"
	"framepipe/capture/v4l2src"
)

// v4l2Open and v4l2First are variables for tests of machines that have other cameras.
var (
	v4l2Open  = v4l2src.Open
	v4l2First = v4l2src.First
)

func openV4L2(ctx context.Context, path string, cfg capture.Config) (capture.Camera, error) {
	return v4l2Open(ctx, path, cfg)
}

func firstV4L2() (string, error) { return v4l2First() }

package open

import (
	"context"

	"framepipe/capture"
	"framepipe/capture/v4l2src"
)

func openV4L2(ctx context.Context, path string, cfg capture.Config) (capture.Camera, error) {
	return v4l2src.Open(ctx, path, cfg)
}

// firstV4L2 is the path of the first V4L2 capture device.
func firstV4L2() (string, error) { return v4l2src.First() }

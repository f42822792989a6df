package open

import (
	"context"
	"errors"

	"framepipe/capture"
)

// The V4L2 source. It is reached through variables so that this package builds
// where there is none.
var (
	v4l2Open  func(ctx context.Context, path string, cfg capture.Config) (capture.Camera, error)
	v4l2First func() (string, error)
)

var errNoV4L2 = errors.New("this build has no V4L2 cameras")

func openV4L2(ctx context.Context, path string, cfg capture.Config) (capture.Camera, error) {
	if v4l2Open == nil {
		return nil, &capture.Error{Op: "open " + path, Err: errNoV4L2, Hint: "try --source pattern"}
	}
	return v4l2Open(ctx, path, cfg)
}

// firstV4L2 is the path of the first V4L2 capture device.
func firstV4L2() (string, error) {
	if v4l2First == nil {
		return "", errNoV4L2
	}
	return v4l2First()
}

package open

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"framepipe/capture"
	"framepipe/capture/rpicam"
)

// openAuto takes the first camera that there is: one of libcamera's, for those show
// up as V4L2 devices too, from which no picture can be had; else a V4L2 one.
func openAuto(ctx context.Context, cfg capture.Config) (capture.Camera, error) {
	cams, errPi := rpicam.List(ctx)
	for _, c := range cams {
		if !c.USB {
			return rpicam.Open(ctx, strconv.Itoa(c.Index), cfg)
		}
	}
	if errPi == nil {
		errPi = errors.New("libcamera finds none")
	}
	path, err := firstV4L2()
	if err == nil {
		return openV4L2(ctx, path, cfg)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, &capture.Error{Op: "open source auto", Err: fmt.Errorf("no camera found: %w; %w", errPi, err),
		Hint: "connect a camera, or try the synthetic one with --source pattern"}
}

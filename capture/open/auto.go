package open

import (
	"context"
	"fmt"

	"framepipe/capture"
)

// openAuto takes the first camera that there is.
func openAuto(ctx context.Context, cfg capture.Config) (capture.Camera, error) {
	path, err := firstV4L2()
	if err != nil {
		return nil, &capture.Error{Op: "open source auto", Err: fmt.Errorf("no camera found: %w", err),
			Hint: "connect a camera, or try the synthetic one with --source pattern"}
	}
	return openV4L2(ctx, path, cfg)
}

package app

import (
	"context"
	"strings"
	"sync"

	"framepipe/capture"
	"framepipe/capture/open"
	"framepipe/capture/v4l2src"
)

// door opens a camera and, when it went away, waits for that same camera: a USB
// camera that is plugged in again may get another number.
type door struct {
	mu     sync.Mutex
	id     v4l2src.Identity // guarded by mu; zero for what is no V4L2 device
	source string           // guarded by mu; as the camera names itself
}

func (d *door) open(ctx context.Context, source string, cfg capture.Config) (capture.Camera, error) {
	cam, err := open.Open(ctx, source, cfg)
	if c, ok := cam.(interface{ Identity() v4l2src.Identity }); ok && err == nil {
		d.mu.Lock()
		d.id, d.source = c.Identity(), cam.Info().Source
		d.mu.Unlock()
	}
	return cam, err
}

// waitFor returns when the camera is there again, and where. Sources that are no
// V4L2 devices are simply tried again when ctx ends.
func (d *door) waitFor(ctx context.Context, source string) (string, error) {
	d.mu.Lock()
	id, was := d.id, d.source
	d.mu.Unlock()
	if id == (v4l2src.Identity{}) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(was, "v4l2:"), "?")
	path, err := v4l2src.WaitFor(ctx, path, id)
	if err != nil {
		return "", err
	}
	if query != "" {
		path += "?" + query
	}
	return "v4l2:" + path, nil
}

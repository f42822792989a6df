package camera

import (
	"context"
	"errors"
	"maps"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/wire"
)

// change is a request to run differently. It travels to the capture loop, which
// alone touches the camera.
type change struct {
	set  wire.Settings
	done chan error // capacity 1
}

// Apply changes what a receiver may change of a camera (the sender's own
// settings are ignored here) and returns when it is in force or refused. State
// tells what the camera made of it.
func (r *Runner) Apply(ctx context.Context, set wire.Settings) error {
	c := &change{set: set, done: make(chan error, 1)}
	select {
	case r.apply <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	r.interrupt() // a Next that waits for a frame must not hold up the change
	r.mu.Unlock()
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// merge is the configuration that the change asks for.
func (c *change) merge(now capture.Config) (capture.Config, error) {
	s, want := &c.set, now
	var err error
	if s.Mode != nil {
		if want.Mode, err = capture.ParseMode(*s.Mode); err != nil {
			return now, err
		}
	}
	if s.Port != nil {
		if want.Port, err = capture.ParsePort(*s.Port); err != nil {
			return now, err
		}
	}
	if s.Format != nil {
		if want.Format, err = frame.ParseFormat(*s.Format); err != nil {
			return now, err
		}
	}
	const most = 16384
	for _, d := range []struct {
		name string
		from *int
		to   *int
		max  int
	}{{"width", s.Width, &want.Width, most}, {"height", s.Height, &want.Height, most}, {"quality", s.Quality, &want.Quality, 100}} {
		if d.from == nil {
			continue
		}
		if *d.from < 1 || *d.from > d.max {
			return now, errorf("%s of %d: use 1 to %d", d.name, *d.from, d.max)
		}
		*d.to = *d.from
	}
	if s.FPS != nil {
		if !(*s.FPS >= 0 && *s.FPS <= 1000) {
			return now, errorf("%v frames per second: use 0 (the camera's choice) to 1000", *s.FPS)
		}
		want.FPS = *s.FPS
	}
	if len(s.Controls) > 0 {
		want.Controls = maps.Clone(now.Controls)
		if want.Controls == nil {
			want.Controls = make(map[string]int64)
		}
		maps.Copy(want.Controls, s.Controls)
	}
	return want, nil
}

// live reports whether want can be had from the open camera without opening it
// anew: quality where we encode ourselves, and the driver's controls.
func (r *Runner) live(want capture.Config) bool {
	now := r.cfg.Capture
	same := now.Width == want.Width && now.Height == want.Height && now.FPS == want.FPS &&
		now.Format == want.Format && now.Mode == want.Mode && now.Port == want.Port
	return same && (now.Quality == want.Quality || r.cam.Info().Format != frame.JPEG.Word())
}

// change runs on the capture loop. An error is one that the loop cannot go on
// from; a refused change only tells who asked for it.
func (r *Runner) change(ctx context.Context, c *change) error {
	want, err := c.merge(r.cfg.Capture)
	if err != nil {
		c.done <- err
		return nil
	}
	if r.live(want) {
		if want.Quality != r.cfg.Capture.Quality {
			r.stage.SetQuality(want.Quality)
			r.fresh = true // what State says of the conversion is of the last frame
			if r.fit != nil {
				r.fit.top = want.Quality
			}
		}
		var failed error
		for name, v := range c.set.Controls {
			if _, err := r.cam.SetControl(name, v); err != nil {
				failed = errors.Join(failed, err)
				if was, ok := r.cfg.Capture.Controls[name]; ok {
					want.Controls[name] = was
				} else {
					delete(want.Controls, name)
				}
			}
		}
		r.cfg.Capture = want
		r.publish(nil)
		c.done <- failed
		return nil
	}
	before := r.cfg.Capture
	r.close()
	err = r.open(ctx, want)
	if err == nil {
		c.done <- nil
		return nil
	}
	r.cfg.Log.Warn("settings refused, going back", "source", r.cfg.Source, "cause", err)
	back := r.open(ctx, before)
	c.done <- err
	return back
}

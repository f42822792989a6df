package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"framepipe/experiment/plan"
	"framepipe/experiment/tune"
	"framepipe/measure"
)

// telling is how many seconds of a record say something about the rest.
const telling = 0.4

// Measure measures one setting for so long, or until stop says that it is
// hopeless: what a search over settings does many times.
func Measure(ctx context.Context, cam Camera, c *plan.Cell, warmup, length time.Duration, stop func(tune.Score) bool) (tune.Score, error) {
	score := tune.Score{Latency: math.NaN()}
	set, err := c.Wire()
	if err != nil {
		return score, err
	}
	st, err := control(ctx, cam, set)
	if err != nil {
		return score, err
	}
	if st.Error != "" {
		return score, fmt.Errorf("%w: %s", tune.ErrImpossible, st.Error)
	}
	if d := differs(set, st); len(d) > 0 {
		return score, fmt.Errorf("%w: %s", tune.ErrImpossible, d[0])
	}
	defer cam.SetTap(nil)
	r := run{plan: &plan.Plan{Warmup: warmup}}
	if err := r.settle(ctx, cam, st); err != nil {
		return score, err
	}
	tap, err := newVisitTap(cam.Name(), length, 1)
	if err != nil {
		return score, err
	}
	cam.SetTap(tap)
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return score, ctx.Err()
		case c := <-tap.closed:
			return scoreOf(c.record), nil
		case <-watch.C:
			silent, err := tap.tick()
			if err != nil {
				return score, err
			}
			if s := cam.Status(); !s.Connected {
				return score, fmt.Errorf("the camera disconnected (%s)", s.Cause)
			}
			if silent > max(silence, 2*length) {
				return score, fmt.Errorf("no frame came for %v", silent.Round(time.Second))
			}
			live := tap.live()
			if live.Record == nil || live.Record.Elapsed < telling {
				continue // a few frames say nothing
			}
			if now := scoreOf(live.Record); stop(now) {
				return now, nil
			}
		}
	}
}

func scoreOf(r *measure.Record) tune.Score {
	s := tune.Score{FPS: r.FPS, Bytes: r.MeanSize, Latency: math.NaN(), For: time.Duration(r.Elapsed * float64(time.Second))}
	if r.Latency != nil {
		s.Latency = r.Latency.P99
	}
	if q := r.Stages[measure.StageEncode.String()]; q != nil {
		s.Encode = q.Mean
	}
	return s
}

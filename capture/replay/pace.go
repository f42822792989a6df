package replay

import (
	"context"
	"io"
	"time"

	"framepipe/capture"
	"framepipe/frame"
)

// scaled is recording time at the speed it is played.
func (c *camera) scaled(d time.Duration) time.Duration {
	if c.opt.speed == 1 {
		return d
	}
	return time.Duration(float64(d) / c.opt.speed)
}

// next waits for the next frame of this round and returns it.
func (c *camera) next(ctx context.Context) (*frame.Frame, error) {
	at, ok := c.reel.peek(0)
	if !ok {
		return nil, io.EOF
	}
	at += c.round
	if c.opt.speed == 0 {
		return c.give(at, frame.SenderNow())
	}
	if !c.started {
		c.started = true
		c.start = time.Now().Add(-c.scaled(at))
		c.last, c.given = at, time.Now()
	}
	due := c.start.Add(c.scaled(at))
	if c.cfg.Mode == capture.Continuous {
		if d := c.given.Add(c.scaled(at - c.last)); d.After(due) { // the consumer took its time
			c.start = c.start.Add(d.Sub(due))
			due = d
		}
	} else {
		now := time.Now()
		for {
			later, ok := c.reel.peek(1)
			if !ok || c.start.Add(c.scaled(later+c.round)).After(now) {
				break
			}
			if err := c.reel.skip(); err != nil {
				return nil, err
			}
			c.seq++
			c.lost[frame.LostEncoderBusy]++
			at = later + c.round
		}
		due = c.start.Add(c.scaled(at))
	}
	if err := c.sleepUntil(ctx, due); err != nil {
		return nil, err
	}
	f, err := c.give(at, frame.SenderNow()-frame.SenderTime(time.Since(due)))
	if err == nil {
		c.last, c.given = at, time.Now()
	}
	return f, err
}

func (c *camera) give(at time.Duration, captured frame.SenderTime) (*frame.Frame, error) {
	f, err := c.reel.take()
	if err != nil {
		return nil, err
	}
	c.describe(f) // what is wrong with it, transform will say and count
	c.seq++
	f.Seq = c.seq
	f.StampKind = frame.StampTick
	f.Captured, f.Dequeued = captured, frame.SenderNow()
	f.Counts.Offered, f.Counts.Lost = c.seq, c.lost
	return f, nil
}

func (c *camera) sleepUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	return c.timer.Wait(ctx, d)
}

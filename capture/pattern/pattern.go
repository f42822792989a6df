// Package pattern is a synthetic camera: the yardstick for everything behind the
// camera, the load for tests, and the demo.
//
// Its pictures depend on nothing but frame number and time (and size, rate and
// noise). They show a clock hand, a bouncing ball and a passing bar, on which a
// person sees stutter at a glance, and carry number and time as blocks that
// package timecode reads back.
//
// # What is simulated
//
// The sensor ticks at the frame rate on the real monotonic clock. In sequence mode
// Next returns the newest tick that is due; ticks before it that nobody asked for
// are gaps, as with a driver that has no free buffer. In continuous mode the next
// frame is the first tick after the call and the encoder's re-arm time; that time
// varies by half of its value up and down, from frame to frame and the same in
// every run. Its default of 30 ms is a declared assumption, about one sensor
// interval, neither measured nor fitted: picamera's documentation says that
// capture_continuous initialises an encoder for each frame, and not how long that
// takes. docs/origin.md shows what follows from other values. The still port takes
// 450 ms for its mode switch in both modes, declared likewise, and counts no gaps,
// since the sensor makes no frames meanwhile. All of
// this is told in Info.Simulated.
//
// The option noise adds sensor noise so that JPEGs get sizes that occur in
// practice: at 320x240 and quality 85 some 8 kB without, 26 kB with noise=10, and
// with noise=83 the 67.6 kB that the origin's experiment has on average.
//
// # Memory
//
// Frames are drawn into buffers that come back on their last Release; only what
// moved is redrawn. With prerender=N, frames are JPEGs made when the camera is
// opened and lent out without copying: they carry their number within the cycle,
// and time 0 (unknown).
package pattern

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"framepipe/capture"
	"framepipe/capture/internal/alarm"
	"framepipe/capture/internal/borrow"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

type camera struct {
	cfg   capture.Config
	opt   options
	info  capture.Info
	fps   float64
	start time.Time
	base  frame.SenderTime // start, on the sender's clock
	timer *alarm.Timer

	last uint64 // the last tick that was returned or missed
	seq  uint64
	gaps uint64

	artist *artist
	easel  easel
	ready  [][]byte // prerendered
	lent   borrow.Frames
}

// Open makes a camera of a spec such as "pattern?noise=20".
func Open(ctx context.Context, spec string, cfg capture.Config) (capture.Camera, error) {
	opt, err := parse(spec)
	if err != nil {
		return nil, configError(spec, err, "options are noise=0..100, still-delay=450ms, rearm=30ms, prerender=N")
	}
	if cfg.Format == 0 {
		cfg.Format = frame.JPEG
	}
	if cfg.Quality == 0 {
		cfg.Quality = capture.DefaultQuality
	}
	if cfg.Width == 0 && cfg.Height == 0 {
		cfg.Width, cfg.Height = DefaultWidth, DefaultHeight
	} else if cfg.Width == 0 {
		cfg.Width = max(1, cfg.Height*DefaultWidth/DefaultHeight)
	} else if cfg.Height == 0 {
		cfg.Height = max(1, cfg.Width*DefaultHeight/DefaultWidth)
	}
	native := frame.I420
	if cfg.Format == frame.RGB24 || cfg.Format == frame.BGR24 {
		native = frame.RGB24
	}
	if pixfmt.Size(native, cfg.Width, cfg.Height, 0) == 0 || cfg.Width*cfg.Height > maxPixels {
		return nil, configError(spec, fmt.Errorf("size %dx%d", cfg.Width, cfg.Height), fmt.Sprintf("at most %d pixels, and %d each way", maxPixels, pixfmt.MaxDim))
	}
	if cfg.FPS == 0 {
		cfg.FPS = DefaultFPS
	}
	if !(cfg.FPS > 0 && cfg.FPS <= maxFPS) {
		return nil, configError(spec, fmt.Errorf("%g frames per second", cfg.FPS), fmt.Sprintf("more than 0, at most %d", maxFPS))
	}
	c := &camera{cfg: cfg, opt: opt, fps: cfg.FPS}
	for name, v := range cfg.Controls {
		if name != "noise" || v < 0 || v > 100 {
			return nil, configError(spec, fmt.Errorf("control %s=%d", name, v), "the synthetic camera has one control: noise, 0..100")
		}
		c.opt.noise = int(v)
	}
	c.artist = newArtist(native, cfg.Width, cfg.Height, c.opt.noise)
	if opt.prerender > 0 {
		if cfg.Format != frame.JPEG {
			return nil, configError(spec, errors.New("prerender makes JPEGs only"), "use it with --format jpeg")
		}
		if err := c.prerender(ctx); err != nil {
			return nil, err
		}
		native = frame.JPEG
	}
	c.info = c.describe(spec, native)
	c.timer = alarm.New()
	c.start, c.base = time.Now(), frame.SenderNow()
	return c, nil
}

func (c *camera) describe(spec string, native frame.FourCC) capture.Info {
	sim := map[string]string{"sensor": fmt.Sprintf("ticks at %g fps", c.fps)}
	if c.cfg.Port == capture.Still {
		sim["still_delay"] = c.opt.stillDelay.String()
	} else if c.cfg.Mode == capture.Continuous {
		sim["rearm"] = c.opt.rearm.String() + " on average, +-50 %"
	}
	if c.opt.noise > 0 {
		sim["noise"] = fmt.Sprint(c.opt.noise)
	}
	if c.opt.prerender > 0 {
		sim["prerender"] = fmt.Sprintf("%d frames, repeated", c.opt.prerender)
	}
	return capture.Info{
		Source: spec, Name: "synthetic camera", Driver: "pattern", Width: c.cfg.Width, Height: c.cfg.Height, FPS: c.fps,
		Format: native.Word(), Mode: c.cfg.Mode.String(), Port: c.cfg.Port.String(), StampKind: frame.StampTick.String(), Simulated: sim,
	}
}

func (c *camera) prerender(ctx context.Context) error {
	enc, cv, total := mjpeg.NewEncoder(), newCanvas(frame.I420, c.cfg.Width, c.cfg.Height), 0
	raw := frame.New(cv.data, nil)
	raw.Format, raw.Width, raw.Height, raw.Stride = frame.I420, cv.Width, cv.Height, cv.Strides[0]
	var buf []byte
	for i := range c.opt.prerender {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.artist.draw(cv, uint64(i+1), float64(i+1)/c.fps, 0)
		b, err := enc.Encode(buf, raw, c.cfg.Quality)
		if err != nil {
			return err
		}
		if total += len(b); total > maxPreBytes {
			return configError("pattern", fmt.Errorf("%d prerendered frames take more than %d MiB", c.opt.prerender, maxPreBytes>>20), "use a smaller prerender=N")
		}
		buf = b
		c.ready = append(c.ready, append([]byte(nil), b...))
	}
	return nil
}

// at is when tick n happens, counted from start.
func (c *camera) at(n uint64) time.Duration {
	return time.Duration(math.Round(float64(n) * float64(time.Second) / c.fps))
}

// due is the last tick that happened by d.
func (c *camera) due(d time.Duration) uint64 {
	n := uint64(max(0, d.Seconds()*c.fps))
	for n > 0 && c.at(n) > d {
		n--
	}
	for c.at(n+1) <= d {
		n++
	}
	return n
}

func (c *camera) sleepUntil(ctx context.Context, d time.Duration) error {
	return c.timer.Wait(ctx, d-time.Since(c.start))
}

func (c *camera) Next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Since(c.start)
	switch {
	case c.cfg.Port == capture.Still:
		shot := now + c.opt.stillDelay
		f := c.make(c.seq+1, float64(c.seq+1)*(c.opt.stillDelay.Seconds()+1/c.fps), shot)
		if err := c.sleepUntil(ctx, shot); err != nil {
			f.Release()
			return nil, err
		}
		c.seq++
		return c.stamp(f, shot), nil
	case c.cfg.Mode == capture.Continuous:
		n := c.due(now+c.rearm()) + 1
		return c.tick(ctx, max(n, c.last+1), false)
	}
	if n := c.due(now); n > c.last {
		return c.tick(ctx, n, true)
	}
	return c.tick(ctx, c.last+1, true)
}

// tick waits for tick n, or a later one if newest is wanted and that is due by the
// time we are woken, and returns its frame. The picture is drawn before the wait: a
// real sensor would have been exposing it.
func (c *camera) tick(ctx context.Context, n uint64, newest bool) (*frame.Frame, error) {
	f := c.make(n, float64(n)/c.fps, c.at(n))
	if err := c.sleepUntil(ctx, c.at(n)); err != nil {
		f.Release()
		return nil, err
	}
	if newest {
		if m := c.due(time.Since(c.start)); m > n {
			f.Release()
			n = m
			f = c.make(n, float64(n)/c.fps, c.at(n))
		}
	}
	c.gaps += n - c.last - 1
	c.last, c.seq = n, n
	return c.stamp(f, c.at(n)), nil
}

// rearm is this frame's re-arm time: the option plus or minus up to half of it.
func (c *camera) rearm() time.Duration {
	u := float64(mixHash(c.last+1)>>11) / (1 << 53)
	return time.Duration(float64(c.opt.rearm) * (0.5 + u))
}

func (c *camera) stamp(f *frame.Frame, at time.Duration) *frame.Frame {
	f.Seq = c.seq
	f.StampKind = frame.StampTick
	f.Captured = c.base + frame.SenderTime(at)
	f.Dequeued = frame.SenderNow()
	f.Counts.Offered = c.seq
	f.Counts.Lost[frame.LostGap] = c.gaps
	return f
}

func (c *camera) make(n uint64, scene float64, at time.Duration) *frame.Frame {
	if k := len(c.ready); k > 0 {
		f := c.lent.Get(c.ready[(n-1)%uint64(k)])
		f.Format, f.Width, f.Height = frame.JPEG, c.cfg.Width, c.cfg.Height
		return f
	}
	f, cv := c.easel.get(c.artist)
	c.artist.draw(cv, n, scene, c.base+frame.SenderTime(at))
	f.Format, f.Width, f.Height, f.Stride = cv.Format, cv.Width, cv.Height, cv.Strides[0]
	return f
}

func (c *camera) Info() capture.Info { return c.info }

func (c *camera) Controls() ([]capture.Control, error) {
	if len(c.ready) > 0 {
		return nil, nil
	}
	return []capture.Control{{Name: "noise", Label: "Noise", Type: "int", Max: 100, Step: 1, Value: int64(c.artist.noise)}}, nil
}

func (c *camera) SetControl(name string, value int64) (int64, error) {
	if name != "noise" || len(c.ready) > 0 {
		return 0, configError(c.info.Source, fmt.Errorf("no control %q", name), "the synthetic camera has one control: noise, 0..100")
	}
	value = min(max(value, 0), 100)
	if int(value) != c.artist.noise {
		c.easel.spoil() // what is in the buffers has grain all over
		c.artist.setNoise(int(value))
	}
	return value, nil
}

func (c *camera) Close() error {
	c.timer.Close()
	return nil
}

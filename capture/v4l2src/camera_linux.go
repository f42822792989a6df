//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

// Camera is an open V4L2 device. Beside capture.Camera's methods it has some
// that only make sense here.
type Camera struct {
	engine
	dev      *v4l2.Device
	source   string
	path     string // without parameters
	id       Identity
	info     capture.Info
	native   v4l2.Format
	controls []v4l2.Control
}

var _ capture.Camera = (*Camera)(nil)

// Open opens a device such as "/dev/video0", "0", or "/dev/video0?input=1" for a
// card with several inputs, and begins streaming (video port). A link, as in
// /dev/v4l/by-id, is as good as the node.
func Open(ctx context.Context, path string, cfg capture.Config) (capture.Camera, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	node, input, err := parsePath(path)
	if err != nil {
		return nil, &capture.Error{Op: "open " + path, Err: err, Config: true, Hint: "write v4l2:/dev/video0, and ?input=1 behind it for a card with several inputs"}
	}
	dev, err := v4l2.Open(node)
	if err != nil {
		return nil, explain("open "+node, node, err)
	}
	c := &Camera{dev: dev, source: path, path: node}
	if err := c.setUp(cfg, input); err != nil {
		c.release()
		dev.Close()
		return nil, err
	}
	return c, nil
}

func parsePath(path string) (node string, input int, err error) {
	node, query, _ := strings.Cut(path, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", 0, err
	}
	input = -1
	for k, v := range q {
		if k != "input" {
			return "", 0, fmt.Errorf("unknown parameter %q", k)
		}
		if input, err = strconv.Atoi(v[0]); err != nil || input < 0 {
			return "", 0, fmt.Errorf("input=%s is not a number", v[0])
		}
	}
	if _, err := strconv.Atoi(node); err == nil {
		node = "/dev/video" + node
	}
	return node, input, nil
}

func (c *Camera) release() {
	if c.strm != nil {
		c.close()
	}
}

// setUp negotiates and starts. On failure the caller cleans up.
func (c *Camera) setUp(cfg capture.Config, input int) error {
	caps := c.dev.Capability()
	c.id = Identity{Name: caps.Card, Driver: caps.Driver, Bus: caps.Bus}
	op := "open " + c.path
	if !caps.IsCapture() {
		return &capture.Error{Op: op, Err: fmt.Errorf("%s (%s) is not a capture device", caps.Card, caps.Driver), Config: true,
			Hint: "see `framepipe devices` for the nodes that are"}
	}
	if input >= 0 {
		if err := c.dev.SetInput(input); err != nil {
			return explain(op, c.path, err)
		}
	}
	current, err := c.dev.Format()
	if err != nil {
		return explain(op, c.path, err)
	}
	want, err := choose(c.dev, cfg, current)
	if err != nil {
		if errors.Is(err, errNoFormat) {
			return &capture.Error{Op: op, Err: err, Config: true, Hint: "see `framepipe devices` for what each camera offers"}
		}
		return explain(op, c.path, err)
	}
	got, err := c.dev.SetFormat(v4l2.Format{Width: want.w, Height: want.h, PixelFormat: want.native, Field: 1})
	if err != nil {
		return explain(op, c.path, err)
	}
	format, ok := natives[got.PixelFormat]
	if !ok || got.Width <= 0 || got.Height <= 0 || got.Planes > 1 {
		return &capture.Error{Op: op, Err: fmt.Errorf("asked for %v %dx%d, the driver set %v with %d planes, which cannot be used", want.native, want.w, want.h, got, got.Planes), Config: true}
	}
	fps, err := c.setRate(want)
	if err != nil {
		return explain(op, c.path, err)
	}
	if c.controls, err = c.dev.Controls(); err != nil {
		return explain(op, c.path, err)
	}
	if err := c.applyControls(cfg.Controls); err != nil {
		return err
	}
	c.describe(cfg, want, got, format, fps)
	return c.begin(cfg, got, format, fps)
}

// setRate sets the frame interval, after the format as drivers may change it
// with that, and returns the rate read back; 0 = the driver does not say.
func (c *Camera) setRate(want choice) (float64, error) {
	var iv v4l2.Fraction
	var err error
	if want.interval.FPS() > 0 {
		iv, err = c.dev.SetInterval(want.interval)
	} else {
		iv, err = c.dev.Interval()
	}
	// Many capture cards have no frame interval to set: the source has its own.
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
		return 0, nil
	}
	return iv.FPS(), err
}

func (c *Camera) describe(cfg capture.Config, want choice, got v4l2.Format, format frame.FourCC, fps float64) {
	caps := c.dev.Capability()
	c.native = got
	c.info = capture.Info{Source: "v4l2:" + c.source, Name: caps.Card, Driver: caps.Driver, Width: got.Width, Height: got.Height, FPS: fps,
		Format: format.Word(), Mode: cfg.Mode.String(), Port: cfg.Port.String(), Sizes: offered(c.dev), Notes: want.notes}
	note := func(s string, a ...any) { c.info.Notes = append(c.info.Notes, fmt.Sprintf(s, a...)) }
	if cfg.Port == capture.Still {
		note("still port: for each frame the camera is started at its largest size, %dx%d, and %d frames are let go by for it to settle", got.Width, got.Height, settle)
	} else if cfg.Width > 0 && cfg.Width != got.Width || cfg.Height > 0 && cfg.Height != got.Height {
		note("%dx%d was asked for; the nearest that the camera gives is %dx%d", cfg.Width, cfg.Height, got.Width, got.Height)
	}
	if cfg.FPS > 0 && fps > 0 && math.Abs(cfg.FPS-fps) > 0.01*cfg.FPS {
		note("%.4g fps was asked for; the camera gives %.4g at this size", cfg.FPS, fps)
	}
	if cfg.FPS > 0 && fps == 0 {
		note("the driver does not let the frame rate be set")
	}
	if got.PixelFormat != want.native {
		note("%v was asked for; the driver set %v", want.native, got.PixelFormat)
	}
	if got.Interlaced() {
		note("the picture is interlaced (field order %d): moving edges will look like combs", got.Field)
	}
	if caps.Driver == "uvcvideo" {
		if b, err := os.ReadFile("/sys/module/uvcvideo/parameters/hwtimestamps"); err == nil && strings.TrimSpace(string(b)) == "0" {
			note("uvcvideo without hwtimestamps stamps a frame when its first USB packet arrives, which is after its exposure")
		}
	}
}

// begin maps the buffers and, on the video port, starts.
func (c *Camera) begin(cfg capture.Config, got v4l2.Format, format frame.FourCC, fps float64) error {
	op := fmt.Sprintf("open %s at %v %dx%d", c.path, got.PixelFormat, got.Width, got.Height)
	strm, err := c.dev.NewStream(queueLength)
	if err != nil {
		return explain(op, c.path, err)
	}
	stride := got.BytesPerLine
	if tight := tightStride(format, got.Width); format.Compressed() || stride < tight {
		stride = tight
	}
	c.strm, c.alive = strm, c.dev.Alive
	c.mode, c.port = cfg.Mode, cfg.Port
	c.meta = frame.Meta{Format: format, Width: got.Width, Height: got.Height, Stride: stride}
	c.least = leastBytes(format, got.Width, got.Height, stride)
	if fps > 0 {
		c.ival = time.Duration(float64(time.Second) / fps)
	}
	c.stamps.realtime = func() int64 { return time.Now().UnixNano() }
	c.launch()
	if c.port == capture.Still {
		return nil
	}
	if c.mode == capture.Continuous {
		c.skip = -1 // nobody has asked yet
	}
	if err := c.start(); err != nil {
		return explain(op, c.path, err)
	}
	return nil
}

// Next implements capture.Camera.
func (c *Camera) Next(ctx context.Context) (*frame.Frame, error) {
	f, err := c.engine.Next(ctx)
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return f, err
	}
	return nil, gone(c.path, c.id.Name, err)
}

// Info implements capture.Camera. StampKind is known from the first frame on.
func (c *Camera) Info() capture.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.info
	i.StampKind = c.kind.String()
	i.Notes = slices.Clip(i.Notes)
	switch {
	case c.stamps.clock == clockUnusable:
		i.Notes = append(i.Notes, "the driver's time stamps are of no clock known here; frames are stamped on arrival")
	case c.stamps.ahead > int64(stampSlack):
		i.Notes = append(i.Notes, fmt.Sprintf("the driver stamps frames up to %v after it delivers them; such frames are stamped on arrival instead", time.Duration(c.stamps.ahead).Round(time.Millisecond)))
	}
	if c.depthBad {
		i.Notes = append(i.Notes, "the driver needs two queued buffers to deliver one, so a frame of continuous mode may have been captured up to one frame interval before it was asked for")
	}
	return i
}

// Native is the format as the driver set it.
func (c *Camera) Native() v4l2.Format { return c.native }

// Identity tells this camera from others when it is plugged in again.
func (c *Camera) Identity() Identity { return c.id }

// Await blocks, after the camera was closed, until the same one is back, and
// returns how to open it.
func (c *Camera) Await(ctx context.Context) (string, error) {
	p, err := WaitFor(ctx, c.path, c.id)
	if _, query, ok := strings.Cut(c.source, "?"); ok && err == nil {
		p += "?" + query
	}
	return p, err
}

// Copied is how many frames were copied out of the driver's memory because too
// many of its buffers were in use.
func (c *Camera) Copied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.copied
}

// Close implements capture.Camera.
func (c *Camera) Close() error {
	err := c.close()
	if cerr := c.dev.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, unix.ENODEV) {
		return nil // it was unplugged: there is nothing left to stop
	}
	return err
}

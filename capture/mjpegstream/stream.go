// Package mjpegstream is for cameras that are a stream of bytes: JPEGs written one
// after another to standard input ("-"), and MJPEG over HTTP from IP cameras,
// ESP32-CAM, mjpg-streamer, ustreamer, go2rtc and the like.
//
// It does not reconnect: when an HTTP camera hangs up, the error wraps
// capture.ErrGone and the caller opens it again. It has no still port.
//
// # How pictures are found
//
// Both kinds are split by walking the JPEG's own segments (mjpeg.Splitter), and so
// is the body of a multipart/x-mixed-replace response: whatever stands between two
// pictures is skipped, part headers included. That needs neither Content-Length,
// which some servers leave out and some get wrong, nor the boundary, whose dashes
// servers disagree about; it cannot be made to take memory by endless headers or a
// huge length; and a picture is complete with its last byte, without waiting for
// the next boundary. Only a picture without end marker is cut at the boundary. Part
// headers such as X-Timestamp are on the server's clock and are not used.
//
// # Which frame Next returns
//
// A real-time stream is read as it comes, by one goroutine that Close awaits, and
// only the newest picture is kept: those it replaces count as encoder_busy. In
// sequence mode Next returns that one; in continuous mode one that was completed
// after the call. HTTP and pipes are real-time streams, so a program that writes
// faster than frames are used loses frames here as a camera would; one that writes
// a file's frames should be paced (ffmpeg -re). A regular file as standard input is
// no real-time stream: it is read on demand, every picture of it.
//
// Frames are stamped when their last byte was read (StampArrival): nothing is known
// about when they were taken.
//
// # Memory
//
// Frames come from a pool, one is in the slot, one is being read. A picture may have
// 32 MiB.
package mjpegstream

import (
	"context"
	"errors"
	"fmt"
	"io"

	"framepipe/capture"
	"framepipe/capture/internal/slot"
	"framepipe/frame"
	"framepipe/mjpeg"
)

// Open opens "-" or an http:// or https:// address.
func Open(ctx context.Context, spec string, cfg capture.Config) (capture.Camera, error) {
	name := spec
	if spec != "-" {
		name = redact(spec)
	}
	if cfg.Port == capture.Still {
		return nil, &capture.Error{Op: "open " + name, Err: errors.New("a stream has no still port"), Hint: "use --camera-port video", Config: true}
	}
	if len(cfg.Controls) > 0 {
		return nil, &capture.Error{Op: "open " + name, Err: errors.New("a stream has no camera controls"), Hint: "leave out --control", Config: true}
	}
	if spec == "-" {
		return openStdin(name, cfg)
	}
	return openHTTP(ctx, spec, cfg)
}

// camera reads pictures from a splitter.
type camera struct {
	cfg      capture.Config
	info     capture.Info
	pool     frame.Pool
	split    *mjpeg.Splitter
	boundary []byte            // cuts pictures without end marker; may be nil
	wrapErr  func(error) error // explains what the reader said
	stop     func() error      // makes a blocked read return
	free     func() error      // once nobody reads any more
	onDemand bool

	slot *slot.Slot
	err  error         // on demand only: the end
	done chan struct{} // closed when the reader has ended; nil if there is none
}

func newCamera(cfg capture.Config, r io.Reader, info capture.Info) *camera {
	nothing := func() error { return nil }
	c := &camera{cfg: cfg, info: info, slot: slot.New(), wrapErr: func(err error) error { return err }, stop: nothing, free: nothing}
	c.split = mjpeg.NewSplitter(r, &c.pool, 0)
	c.info.Mode, c.info.Port = cfg.Mode.String(), cfg.Port.String()
	c.info.Format, c.info.StampKind = frame.JPEG.Word(), frame.StampArrival.String()
	return c
}

// start begins reading in the background.
func (c *camera) start() {
	c.done = make(chan struct{})
	go c.run()
}

func (c *camera) run() {
	defer close(c.done)
	for {
		f, err := c.read()
		if err != nil {
			c.slot.End(err)
			return
		}
		if !c.slot.Put(f) {
			return
		}
	}
}

// read waits for the next picture.
func (c *camera) read() (*frame.Frame, error) {
	broken := c.split.Broken()
	f, err := c.split.Next()
	c.slot.Lose(frame.LostCorrupt, uint64(c.split.Broken()-broken))
	if err != nil {
		return nil, c.wrapErr(err)
	}
	f.Captured = frame.SenderNow()
	f.Dequeued = f.Captured
	f.StampKind = frame.StampArrival
	f.Data = cutAtBoundary(f.Data, c.boundary)
	if h, err := mjpeg.Header(f.Data); err == nil {
		f.Width, f.Height = h.Width, h.Height
	}
	return f, nil
}

func (c *camera) Next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.onDemand {
		if c.err != nil {
			return nil, c.err
		}
		f, err := c.read()
		if err != nil {
			c.err = err
			return nil, err
		}
		c.slot.Number(f)
		return f, nil
	}
	var notBefore frame.SenderTime
	if c.cfg.Mode == capture.Continuous {
		notBefore = frame.SenderNow()
	}
	return c.slot.Take(ctx, notBefore)
}

// Direct implements capture.Direct; a file is read by Next itself.
func (c *camera) Direct(now func(*frame.Frame) bool) { c.slot.Direct(now) }

func (c *camera) Info() capture.Info {
	info := c.info
	info.Width, info.Height = c.slot.Size()
	info.Notes = append([]string(nil), info.Notes...)
	if w, h := c.cfg.Width, c.cfg.Height; info.Width > 0 && (w > 0 && w != info.Width || h > 0 && h != info.Height) {
		info.Notes = append(info.Notes, fmt.Sprintf("the stream is %dx%d, not the %dx%d asked for: a stream's size cannot be chosen here", info.Width, info.Height, w, h))
	}
	if c.done == nil { // else the splitter is another goroutine's
		if n := c.split.Skipped(); n > 0 {
			info.Notes = append(info.Notes, fmt.Sprintf("%d bytes outside of pictures skipped", n))
		}
	}
	return info
}

func (c *camera) Controls() ([]capture.Control, error) { return nil, nil }

func (c *camera) SetControl(name string, _ int64) (int64, error) {
	return 0, &capture.Error{Op: "set " + name, Err: errors.New("a stream has no camera controls"), Config: true}
}

func (c *camera) Close() error {
	c.slot.Close()
	err := c.stop()
	if c.done != nil {
		<-c.done
	}
	return errors.Join(err, c.free())
}

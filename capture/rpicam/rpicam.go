//go:build linux

package rpicam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/capture/internal/slot"
	"framepipe/frame"
)

// firstFrame is how long a camera may take to start.
const firstFrame = 15 * time.Second

type camera struct {
	cfg   capture.Config
	op    string
	info  capture.Info
	slot  *slot.Slot
	pool  frame.Pool
	proc  *process
	dir   string   // of the FIFO
	fifo  *os.File // read by the metadata goroutine
	recs  chan numbered
	ended [2]chan struct{} // the two goroutines
	args  arguments
}

// Open opens the camera with this number in rpicam-vid --list-cameras.
func Open(ctx context.Context, index string, cfg capture.Config) (capture.Camera, error) {
	op := "open rpicam:" + index
	if n, err := strconv.Atoi(index); err != nil || n < 0 || n > 99 {
		return nil, &capture.Error{Op: op, Err: errors.New("not a camera number"), Hint: "framepipe devices lists the cameras and their numbers", Config: true}
	}
	cfg, err := complete(cfg)
	if err != nil {
		return nil, &capture.Error{Op: op, Err: err, Hint: "controls of this source are " + strings.Join(controlNames(), ", "), Config: true}
	}
	if cfg.Port == capture.Still {
		return openStill(ctx, op, index, cfg)
	}
	path, err := find("vid")
	if err != nil {
		return nil, &capture.Error{Op: op, Err: err, Hint: installHint}
	}
	args := arguments{index: index, metadata: true, noRaw: true}
	c, err := run(ctx, op, path, args, cfg)
	if err != nil && strings.Contains(err.Error(), "unrecognised option") { // an old version: without what is not needed
		args.metadata, args.noRaw = false, false
		if c, err = run(ctx, op, path, args, cfg); err == nil {
			c.info.Notes = append(c.info.Notes, "this version of "+filepath.Base(path)+" has no metadata: frames are stamped on arrival")
		}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func run(ctx context.Context, op, path string, args arguments, cfg capture.Config) (c *camera, err error) {
	c = &camera{cfg: cfg, op: op, slot: slot.New(), recs: make(chan numbered, 64), args: args}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.dir, err = os.MkdirTemp("", "framepipe-rpicam-"); err != nil {
		return c, &capture.Error{Op: op, Err: err}
	}
	name := filepath.Join(c.dir, "metadata")
	if args.metadata {
		if err = unix.Mkfifo(name, 0o600); err == nil {
			// Opened for writing too, so that neither side has to wait for the other.
			c.fifo, err = os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
		}
		if err != nil {
			return c, &capture.Error{Op: op, Err: err}
		}
	}
	if c.proc, err = start(path, videoArgs(args, cfg, name)); err != nil {
		return c, &capture.Error{Op: op, Err: err}
	}
	if c.fifo != nil {
		c.ended[0] = make(chan struct{})
		go c.readMetadata()
	}
	c.ended[1] = make(chan struct{})
	go c.readFrames()

	first, cancel := context.WithTimeout(ctx, firstFrame)
	defer cancel()
	if err = c.slot.Await(first); err != nil {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = explain(op, c.proc.tail, fmt.Errorf("no frame came within %v", firstFrame))
		}
		return c, err
	}
	c.describe(path)
	return c, nil
}

// describe fills in what the first frame showed.
func (c *camera) describe(path string) {
	native := frame.JPEG
	if c.cfg.Format != frame.JPEG {
		native = frame.I420
	}
	w, h := c.slot.Size()
	c.info = capture.Info{
		Source: "rpicam:" + c.args.index, Name: "Raspberry Pi camera " + c.args.index, Driver: filepath.Base(path),
		Width: w, Height: h, FPS: c.cfg.FPS, Format: native.Word(),
		Mode: c.cfg.Mode.String(), Port: c.cfg.Port.String(), StampKind: frame.StampArrival.String(),
	}
	if c.args.metadata {
		c.info.StampKind = frame.StampReadout.String()
	}
	if w != c.cfg.Width || h != c.cfg.Height {
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("gives %dx%d, not the %dx%d asked for", w, h, c.cfg.Width, c.cfg.Height))
	}
}

func (c *camera) Next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var notBefore frame.SenderTime
	if c.cfg.Mode == capture.Continuous {
		notBefore = frame.SenderNow()
	}
	return c.slot.Take(ctx, notBefore)
}

// Direct implements capture.Direct.
func (c *camera) Direct(now func(*frame.Frame) bool) { c.slot.Direct(now) }

func (c *camera) Info() capture.Info { return c.info }

func (c *camera) Controls() ([]capture.Control, error) { return nil, nil }

func (c *camera) SetControl(name string, _ int64) (int64, error) {
	return 0, setError(name)
}

func setError(name string) error {
	return &capture.Error{Op: "set " + name, Err: errors.New("rpicam-vid cannot change controls while it runs"), Hint: "give --control when starting", Config: true}
}

func (c *camera) Close() error {
	c.slot.Close()
	if c.proc != nil {
		c.proc.stop()
	}
	if c.fifo != nil {
		c.fifo.Close()
	}
	for _, e := range c.ended {
		if e != nil {
			<-e
		}
	}
	if c.dir != "" {
		return os.RemoveAll(c.dir)
	}
	return nil
}

//go:build linux

package rpicam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/capture/internal/slot"
	"framepipe/frame"
	"framepipe/mjpeg"
)

// firstFrame is how long a camera may take to start.
const firstFrame = 15 * time.Second

// awaitRecord is how long a frame waits for its metadata, which are written right
// behind it.
const awaitRecord = 50 * time.Millisecond

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

// numbered is a metadata record with the number of its frame.
type numbered struct {
	n uint64
	record
}

// arguments are what can be left out for old versions of the program.
type arguments struct {
	index    string
	metadata bool
	noRaw    bool
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

// complete fills in what was left open.
func complete(cfg capture.Config) (capture.Config, error) {
	if cfg.Format == 0 {
		cfg.Format = frame.JPEG
	}
	if cfg.Quality == 0 {
		cfg.Quality = capture.DefaultQuality
	}
	switch {
	case cfg.Width == 0 && cfg.Height == 0:
		cfg.Width, cfg.Height = 640, 480
	case cfg.Width == 0:
		cfg.Width = cfg.Height * 4 / 3
	case cfg.Height == 0:
		cfg.Height = cfg.Width * 3 / 4
	}
	cfg.Width, cfg.Height = cfg.Width+cfg.Width&1, cfg.Height+cfg.Height&1 // YUV 4:2:0 comes in pairs
	if cfg.Width < 16 || cfg.Height < 16 || cfg.Width > 16384 || cfg.Height > 16384 {
		return cfg, fmt.Errorf("size %dx%d is not within 16 to 16384", cfg.Width, cfg.Height)
	}
	if cfg.FPS == 0 {
		cfg.FPS = 30 // the program's own default
	}
	if !(cfg.FPS > 0 && cfg.FPS <= 1000) {
		return cfg, fmt.Errorf("%g frames per second", cfg.FPS)
	}
	for name := range cfg.Controls {
		if _, ok := controls[name]; !ok {
			return cfg, fmt.Errorf("unknown control %q", name)
		}
	}
	return cfg, nil
}

// controls that the programs take as options, with whole numbers.
var controls = map[string]string{"shutter": "--shutter", "gain": "--gain", "ev": "--ev", "hflip": "--hflip", "vflip": "--vflip"}

func controlNames() []string {
	var names []string
	for n := range controls {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// controlArgs are the options for cfg's controls, in a fixed order.
func controlArgs(cfg capture.Config) []string {
	var args []string
	for _, n := range controlNames() {
		if v, ok := cfg.Controls[n]; ok {
			args = append(args, controls[n], strconv.FormatInt(v, 10))
		}
	}
	return args
}

// videoArgs is the command line; see the package comment for the reasons.
func videoArgs(a arguments, cfg capture.Config, fifo string) []string {
	args := []string{"-t", "0", "-n", "--camera", a.index, "-o", "-", "--flush",
		"--width", strconv.Itoa(cfg.Width), "--height", strconv.Itoa(cfg.Height),
		"--framerate", strconv.FormatFloat(cfg.FPS, 'f', -1, 64), "--denoise", "cdn_off"}
	if cfg.Format == frame.JPEG {
		args = append(args, "--codec", "mjpeg", "-q", strconv.Itoa(cfg.Quality))
	} else {
		args = append(args, "--codec", "yuv420", "--verbose", "2")
	}
	if a.noRaw {
		args = append(args, "--no-raw")
	}
	if a.metadata {
		args = append(args, "--metadata", fifo, "--metadata-format", "txt")
	}
	return append(args, controlArgs(cfg)...)
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

// readMetadata numbers the records and hands them to readFrames. It never makes the
// program wait: a record that finds the queue full is dropped.
func (c *camera) readMetadata() {
	defer close(c.ended[0])
	n := uint64(0)
	readRecords(c.fifo, func(r record) bool {
		n++
		select {
		case c.recs <- numbered{n, r}:
		default:
		}
		return true
	})
	// After an error no record comes any more: frames get the stamp of their
	// arrival. The FIFO still has to be emptied.
	buf := make([]byte, 4096)
	for {
		if _, err := c.fifo.Read(buf); err != nil {
			return
		}
	}
}

func (c *camera) readFrames() {
	defer close(c.ended[1])
	next, broken, err := c.reader()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last record
	misses := 0
	for n := uint64(1); err == nil; n++ {
		var f *frame.Frame
		if f, err = next(); err != nil {
			break
		}
		f.Dequeued = frame.SenderNow()
		f.Captured, f.StampKind = f.Dequeued, frame.StampArrival
		c.slot.Lose(frame.LostCorrupt, broken())
		if c.fifo != nil && misses < 5 {
			if r, ok := c.recordOf(n, timer); !ok {
				misses++
				last = record{} // what comes next tells nothing about what was lost
			} else if misses = 0; r.sensor > 0 && frame.SenderTime(r.sensor) <= f.Dequeued {
				f.Captured, f.StampKind = frame.SenderTime(r.sensor), frame.StampReadout
				d := r.duration
				if d == 0 {
					d = int64(1e6 / c.cfg.FPS)
				}
				c.slot.Lose(frame.LostGap, gap(last.sensor, r.sensor, d))
				last = r
			}
		}
		if !c.slot.Put(f) {
			return
		}
	}
	select { // its last words come with its end
	case <-c.proc.done:
	case <-time.After(2 * time.Second):
	}
	c.slot.End(explain("read "+strings.TrimPrefix(c.op, "open "), c.proc.tail, err))
}

// recordOf waits for the record of frame n.
func (c *camera) recordOf(n uint64, timer *time.Timer) (record, bool) {
	timer.Reset(awaitRecord)
	defer timer.Stop()
	for {
		select {
		case r := <-c.recs:
			if r.n == n {
				return r.record, true
			}
			if r.n > n { // its own was dropped
				return record{}, false
			}
		case <-timer.C:
			return record{}, false
		}
	}
}

// reader gives a function that reads the next frame, and one that says how many
// broken ones it skipped since it was last asked.
func (c *camera) reader() (next func() (*frame.Frame, error), broken func() uint64, err error) {
	if c.cfg.Format == frame.JPEG {
		s := mjpeg.NewSplitter(c.proc.out, &c.pool, 0)
		told := int64(0)
		return func() (*frame.Frame, error) {
				f, err := s.Next()
				if err == nil {
					if h, err := mjpeg.Header(f.Data); err == nil {
						f.Width, f.Height = h.Width, h.Height
					}
				}
				return f, err
			}, func() uint64 {
				n := s.Broken() - told
				told += n
				return uint64(n)
			}, nil
	}
	r := &rawReader{r: c.proc.out, pool: &c.pool}
	if r.l, err = c.learnLayout(); err != nil {
		return nil, nil, err
	}
	return r.next, func() uint64 { return 0 }, nil
}

// learnLayout waits for the program to say how long the first buffer is.
func (c *camera) learnLayout() (layout, error) {
	limit := time.NewTimer(firstFrame)
	defer limit.Stop()
	for {
		h := c.proc.tail.get()
		if h.length > 0 {
			w, hh := c.cfg.Width, c.cfg.Height
			if h.width > 0 {
				w, hh = h.width, h.height
			}
			return layoutOf(w, hh, h.length, isPiSP())
		}
		select {
		case <-c.proc.tail.news:
		case <-c.proc.done:
			if c.proc.tail.get().length == 0 {
				return layout{}, errors.New("it ended before the first frame")
			}
		case <-limit.C:
			return layout{}, errors.New("it does not say how long its frames are")
		}
	}
}

// isPiSP reports whether this is a machine with the newer image signal processor.
func isPiSP() bool {
	b, err := os.ReadFile("/proc/device-tree/compatible")
	return err == nil && strings.Contains(string(b), "brcm,bcm2712")
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

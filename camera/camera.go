// Package camera keeps one camera going: it opens it, lets it warm up, pulls its
// frames, turns them into what was asked for and puts them into a sink, opens it
// again when it went away, and changes its settings while it runs. It is the
// capture loop of a frame's way, one goroutine that owns camera and encoder.
//
// It also keeps the first half of the ledger: across re-opened cameras, and with
// what conversion lost, so that the frames it puts carry counts that balance.
package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/transform"
)

// Sink takes frames. A stream.Mailbox is one, a stream.Local another.
type Sink interface {
	// Put takes over the caller's reference.
	Put(*frame.Frame)
	// WaitIdle returns when the sink is ready for another frame at once.
	WaitIdle(ctx context.Context, patient bool) error
	// Account books what was counted since the last frame.
	Account(frame.Counts)
}

// Times that the loop keeps when a camera is gone.
const (
	reopenFirst = 250 * time.Millisecond
	reopenMost  = time.Second
)

// maxChanges is how many changes of settings may wait for the capture loop.
const maxChanges = 8

// Config is what a Runner needs.
type Config struct {
	Source  string
	Capture capture.Config
	Warmup  time.Duration
	Rotate  int // degrees clockwise: 0, 90, 180, 270
	FlipH   bool
	FlipV   bool

	// Open opens a source by name.
	Open func(ctx context.Context, source string, cfg capture.Config) (capture.Camera, error)
	// WaitFor, if not nil, returns when opening the source again may work, and
	// the name under which it is to be found then.
	WaitFor func(ctx context.Context, source string) (string, error)
	// Blocks reports whether to wait for the sink before each frame. Nil: never.
	Blocks func() bool
	// Patient: the source's frames do not grow old, so wait for the sink even
	// while it has nobody to send to.
	Patient bool
	// Budget, if not nil, is asked once for each frame how many bytes it may have;
	// 0 = any number. See adapt.
	Budget func() int
	// Ready, if not nil, is called once, when the camera is open and before its
	// first frame is taken: a file's beginning must not be lost.
	Ready func(context.Context) error
	// Changed is told that State is different now. It must not block.
	Changed func()

	Log *slog.Logger
}

// Runner runs one camera. See New.
type Runner struct {
	cfg    Config
	apply  chan *change
	opened chan struct{} // closed when the camera was first opened

	mu        sync.Mutex
	interrupt context.CancelFunc // guarded by mu; ends a Next that waits
	state     State              // guarded by mu
	describe  func() string      // guarded by mu; how the stage converts frames

	// Owned by the goroutine of Run.
	cam   capture.Camera
	stage *transform.Stage
	base  frame.Counts // of cameras that were closed, and of what was lost here
	warm  frame.Counts // of the open camera, as of the end of its warm-up
	last  frame.Counts // of the open camera, as of its newest frame
	fresh bool         // no frame of the open camera was put yet
	fit   *adapter     // nil unless there is a Budget
	own   time.Time    // when the camera's own quality was last changed
	noted time.Time    // when a conversion failure was last logged
	sink  Sink
	took  time.Duration // for the newest frame
}

// atOnce is how long a camera that reads on a goroutine of its own may be kept from it.
const atOnce = 2 * time.Millisecond

// State is what the camera does now.
type State struct {
	Open     bool
	Info     capture.Info
	Controls []capture.Control
	Format   frame.FourCC // of what is put into the sink
	Width    int          // likewise, nominal
	Height   int
	Quality  int
	Codec    string // how frames are converted, for people
	Adapting string // how frames are made to fit a budget, for people; empty without one
	Err      error  // why it is not open
}

// New returns a runner that has not opened its camera.
func New(cfg Config) *Runner {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Capture.Quality = cmp.Or(cfg.Capture.Quality, capture.DefaultQuality)
	cfg.Capture.Format = cmp.Or(cfg.Capture.Format, frame.JPEG)
	return &Runner{cfg: cfg, apply: make(chan *change, maxChanges), opened: make(chan struct{}), interrupt: func() {}}
}

// State returns a snapshot.
func (r *Runner) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state
	if r.describe != nil {
		st.Codec = r.describe()
	}
	return st
}

// Opened is closed when Run has opened the camera for the first time and let it
// warm up.
func (r *Runner) Opened() <-chan struct{} { return r.opened }

// Run captures until ctx ends (nil), the source ends (nil), or the camera fails
// for good. The first opening must succeed; after that a camera that is gone is
// waited for.
func (r *Runner) Run(ctx context.Context, sink Sink) error {
	defer func() { sink.Account(r.close()) }()
	if err := r.open(ctx, r.cfg.Capture); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	close(r.opened)
	if r.cfg.Ready != nil {
		if err := r.cfg.Ready(ctx); err != nil {
			return nil // ctx ended
		}
	}
	for {
		err := r.loop(ctx, sink)
		sink.Account(r.close())
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, capture.ErrGone):
			return err
		}
		r.cfg.Log.Warn("camera gone, waiting for it to come back", "source", r.cfg.Source, "cause", err)
		r.setGone(err)
		if err := r.reopen(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		r.cfg.Log.Info("camera is back", "source", r.cfg.Source)
	}
}

// loop pulls frames until something ends or a change asks for another camera.
func (r *Runner) loop(ctx context.Context, sink Sink) error {
	for {
		epoch, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.interrupt = cancel
		r.mu.Unlock()
		var err error
		if len(r.apply) == 0 { // else it came before its sender could interrupt this epoch
			err = r.frames(epoch, sink)
		}
		cancel()
		if ctx.Err() != nil || err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		for len(r.apply) > 0 {
			if err := r.change(ctx, <-r.apply); err != nil {
				return err
			}
		}
	}
}

// frames is the frame path of the camera's machine up to the sink.
func (r *Runner) frames(ctx context.Context, sink Sink) error {
	continuous := r.cfg.Capture.Mode == capture.Continuous
	r.sink = sink
	if d, ok := r.cam.(capture.Direct); ok && !continuous && !r.cfg.Patient {
		d.Direct(r.now)
		defer d.Direct(nil)
	}
	for {
		if continuous || r.cfg.Patient || r.cfg.Blocks != nil && r.cfg.Blocks() {
			if err := sink.WaitIdle(ctx, r.cfg.Patient); err != nil {
				return err
			}
		}
		f, err := r.cam.Next(ctx)
		if err != nil {
			return err
		}
		if r.deliver(f) && r.fresh { // how frames are converted is known from the first one on
			r.fresh = false
			r.publish(nil)
		}
	}
}

// now is deliver on the goroutine that reads the camera, for what takes next to no
// time there: pictures that are passed on as they are.
func (r *Runner) now(f *frame.Frame) bool {
	if r.fresh || r.fit != nil || r.took > atOnce || r.cfg.Blocks != nil && r.cfg.Blocks() {
		return false
	}
	r.deliver(f)
	return true
}

// deliver converts a frame and puts it into the sink, if it can.
func (r *Runner) deliver(f *frame.Frame) bool {
	began := frame.SenderNow()
	defer func() { r.took = time.Duration(frame.SenderNow() - began) }()
	seq := f.Seq
	r.last = f.Counts
	if r.fit != nil && !r.adapt(f) {
		f.Release()
		r.base.Lost[frame.LostDeadline]++ // it would be older than the target allows when it arrives
		return false
	}
	f, err := r.stage.Do(f)
	if err != nil {
		r.base.Lost[frame.LostCorrupt]++
		if now := time.Now(); now.Sub(r.noted) > time.Second {
			r.noted = now
			r.cfg.Log.Warn("frame lost", "source", r.cfg.Source, "frame", seq, "cause", err)
		}
		return false
	}
	f.Counts = r.counts()
	f.Seq = f.Counts.Offered
	if r.fit != nil {
		r.fit.sent(len(f.Data))
	}
	r.sink.Put(f)
	return true
}

// counts is the ledger as of the newest frame.
func (r *Runner) counts() frame.Counts {
	c := r.base
	c.Add(r.last.Minus(r.warm))
	return c
}

// open opens the camera, lets it warm up and makes the stage for its frames.
func (r *Runner) open(ctx context.Context, want capture.Config) error {
	cam, err := r.cfg.Open(ctx, r.cfg.Source, want)
	if err != nil {
		return err
	}
	if r.cfg.Budget != nil {
		r.fit = newAdapter(want.Quality)
	}
	stage, err := transform.New(r.stageConfig(want, cam.Info()))
	if err != nil {
		cam.Close()
		return &capture.Error{Op: "convert frames", Err: err, Config: true}
	}
	r.cam, r.stage, r.cfg.Capture, r.fresh = cam, stage, want, true
	r.last, r.warm = frame.Counts{}, frame.Counts{}
	if err := r.warmUp(ctx); err != nil {
		r.close()
		return err
	}
	r.publish(nil)
	return nil
}

func (r *Runner) stageConfig(want capture.Config, is capture.Info) transform.Config {
	t := transform.Config{Format: want.Format, Quality: want.Quality, Rotate: r.cfg.Rotate, FlipH: r.cfg.FlipH, FlipV: r.cfg.FlipV}
	if want.Port == capture.Still { // the sensor's full picture, scaled down to what was asked for
		t.Width, t.Height = want.Width, want.Height
	}
	if r.fit != nil {
		t.Reencode = r.fit.reencode
		if r.fit.scale > 0 {
			w, h := is.Width, is.Height
			if t.Width > 0 {
				w, h = min(w, t.Width), min(h, t.Height)
			}
			t.Width, t.Height = r.fit.scaled(w), r.fit.scaled(h)
		}
	}
	return t
}

// warmUp lets exposure and white balance settle. Its frames are not offered to
// anybody, so they are in no account.
func (r *Runner) warmUp(ctx context.Context) error {
	for end := time.Now().Add(r.cfg.Warmup); time.Now().Before(end); {
		c, cancel := context.WithDeadline(ctx, end)
		f, err := r.cam.Next(c)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			break
		}
		if err != nil {
			return err
		}
		r.warm = f.Counts
		f.Release()
	}
	r.last = r.warm
	return nil
}

// close closes the camera, if it is open, and returns the final account.
func (r *Runner) close() frame.Counts {
	r.base = r.counts()
	r.last, r.warm = frame.Counts{}, frame.Counts{}
	if r.cam != nil {
		if err := r.cam.Close(); err != nil {
			r.cfg.Log.Debug("closing the camera", "cause", err)
		}
		r.cam = nil
	}
	return r.base
}

// reopen tries until the camera is back or cannot come back.
func (r *Runner) reopen(ctx context.Context) error {
	for wait := reopenFirst; ; wait = min(2*wait, reopenMost) {
		began := time.Now()
		if r.cfg.WaitFor != nil {
			c, cancel := context.WithTimeout(ctx, wait)
			name, err := r.cfg.WaitFor(c, r.cfg.Source)
			cancel()
			if err == nil && name != "" {
				r.cfg.Source = name
			}
		} else {
			r.pause(ctx, wait)
		}
		// Changes that are asked for meanwhile hold from the next opening on.
		for waiting := true; waiting; {
			select {
			case c := <-r.apply:
				want, err := c.merge(r.cfg.Capture)
				if err == nil {
					r.cfg.Capture = want
				}
				c.done <- errors.Join(err, errors.New("the camera is gone; the change will hold when it is back"))
			default:
				waiting = false
			}
		}
		err := r.open(ctx, r.cfg.Capture)
		if err == nil || ctx.Err() != nil {
			return err
		}
		// A device node that is not there (yet) is a wrong source at first, but not
		// after it was.
		if capture.IsConfig(err) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.setGone(err)
		r.pause(ctx, wait-time.Since(began)) // WaitFor may have needed all of it
	}
}

func (r *Runner) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// publish makes State current.
func (r *Runner) publish(gone error) {
	st := State{Open: gone == nil, Err: gone, Format: r.cfg.Capture.Format, Quality: r.cfg.Capture.Quality}
	if r.fit != nil {
		st.Adapting = r.fit.describe()
	}
	if r.cam != nil {
		st.Info = r.cam.Info()
		st.Width, st.Height = st.Info.Width, st.Info.Height
		if r.cfg.Capture.Port == capture.Still && r.cfg.Capture.Width > 0 {
			st.Width, st.Height = min(st.Width, r.cfg.Capture.Width), min(st.Height, r.cfg.Capture.Height)
		}
		if r.fit != nil {
			st.Width, st.Height = r.fit.scaled(st.Width), r.fit.scaled(st.Height)
		}
		if r.cfg.Rotate%180 != 0 {
			st.Width, st.Height = st.Height, st.Width
		}
		var err error
		if st.Controls, err = r.cam.Controls(); err != nil {
			r.cfg.Log.Debug("listing controls", "cause", err)
		}
	}
	r.mu.Lock()
	if gone != nil { // what it was is still what it is
		st.Info, st.Width, st.Height, st.Controls = r.state.Info, r.state.Width, r.state.Height, r.state.Controls
	}
	r.state = st
	if gone == nil && r.cam != nil {
		r.describe = r.stage.Describe
	}
	r.mu.Unlock()
	if r.cfg.Changed != nil {
		r.cfg.Changed()
	}
}

func (r *Runner) setGone(err error) { r.publish(err) }

// errorf marks a mistake in a request.
func errorf(format string, args ...any) error {
	return &capture.Error{Op: "change settings", Err: fmt.Errorf(format, args...), Config: true}
}

package v4l2src

import (
	"context"
	"sync"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

const (
	queueLength = 4 // buffers asked for
	keepQueued  = 2 // handing a buffer out must leave the driver this many
	settle      = 3 // frames thrown away after each start of the still port
	silence     = 5 * time.Second
	tick        = time.Second // how often a silent driver is looked after
)

// stream is what the engine needs of *v4l2.Stream.
type stream interface {
	Len() int
	Data(i int) []byte
	Queue(i int) error
	Wait(*v4l2.Buffer) error
	SetDeadline(time.Time) error
	Start() error
	Interrupt()
	Stop() error
	Unmap(i int) error
	Release() error
}

type bufferState uint8

const (
	idle   bufferState = iota // ours, unused
	queued                    // the driver's
	out                       // in the slot or with a consumer
)

// buffer is one of the driver's, and the owner of the frames made of it.
type buffer struct {
	e     *engine
	index int
	state bufferState  // guarded by e.mu
	f     *frame.Frame // made once, used again by Reset
}

// Recycle implements frame.Owner.
func (b *buffer) Recycle(*frame.Frame) { b.e.back(b.index) }

// engine moves buffers between the driver and the consumers. It knows the
// driver only through stream, so that it can be tested without one.
type engine struct {
	strm   stream
	alive  func() error // nil, or why the device no longer answers
	mode   capture.Mode
	port   capture.Port
	meta   frame.Meta // Format, Width, Height, Stride of every frame
	least  int        // bytes that a whole frame has
	ival   time.Duration
	stamps stamper
	pool   frame.Pool // for copies when too many buffers are out
	ready  chan struct{}
	ended  chan struct{} // closed when the pump has ended; nil while none runs

	mu       sync.Mutex
	bufs     []buffer
	nQueued  int
	running  bool // streaming
	closed   bool
	newest   *frame.Frame // the one slot; older frames are released
	led      ledger
	skip     int       // frames still to be thrown away (settling); -1 = all, until somebody asks
	depth    int       // buffers queued per Next in continuous mode
	bad      int       // damaged frames in a row
	good     time.Time // when the last usable frame came, or waiting for one began
	kind     frame.StampKind
	copied   uint64
	failure  error
	depthBad bool // the driver did not deliver with one buffer queued
}

// launch makes the buffers known. Streaming starts with start.
func (e *engine) launch() {
	e.ready = make(chan struct{}, 1)
	e.depth = 1
	e.led.interval = int64(e.ival)
	e.bufs = make([]buffer, e.strm.Len())
	for i := range e.bufs {
		e.bufs[i] = buffer{e: e, index: i}
	}
}

// start queues every idle buffer, begins streaming, and starts the pump. All
// buffers are queued even in continuous mode: many drivers do not begin with one.
func (e *engine) start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.bufs {
		if e.bufs[i].state == idle {
			if err := e.queueLocked(i); err != nil {
				return err
			}
		}
	}
	if err := e.strm.Start(); err != nil {
		for i := range e.bufs { // a failed STREAMON leaves them queued; nobody will take them out
			if e.bufs[i].state == queued {
				e.bufs[i].state = idle
			}
		}
		e.nQueued = 0
		return err
	}
	e.running = true
	e.good = time.Now()
	e.led.restart()
	e.strm.SetDeadline(time.Now().Add(tick))
	e.ended = make(chan struct{})
	go e.pump(e.ended)
	return nil
}

// halt ends streaming and the pump. Frames that are out stay valid.
func (e *engine) halt() error {
	if e.ended == nil {
		return nil
	}
	e.strm.Interrupt()
	<-e.ended
	e.ended = nil
	e.mu.Lock()
	e.running = false
	err := e.strm.Stop()
	for i := range e.bufs {
		if e.bufs[i].state == queued {
			e.bufs[i].state = idle
		}
	}
	e.nQueued = 0
	f := e.newest
	e.newest = nil
	e.mu.Unlock()
	if f != nil {
		f.Release()
	}
	return err
}

func (e *engine) queueLocked(i int) error {
	if err := e.strm.Queue(i); err != nil {
		return err
	}
	if e.nQueued == 0 {
		e.good = time.Now() // waiting begins now
	}
	e.bufs[i].state = queued
	e.nQueued++
	return nil
}

// back takes a buffer that nobody uses any more.
func (e *engine) back(i int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bufs[i].state = idle
	switch {
	case e.closed:
		e.strm.Unmap(i)
	case !e.running || e.failure != nil || e.mode == capture.Continuous && e.port == capture.Video:
	default:
		if err := e.queueLocked(i); err != nil {
			e.failLocked(err)
		}
	}
}

func (e *engine) failLocked(err error) {
	if e.failure == nil {
		e.failure = err
	}
	e.wake()
}

func (e *engine) wake() {
	select {
	case e.ready <- struct{}{}:
	default:
	}
}

// next waits for the slot to fill and takes the frame out.
func (e *engine) next(ctx context.Context) (*frame.Frame, error) {
	for {
		e.mu.Lock()
		if f := e.newest; f != nil {
			e.newest = nil
			keep := e.spareLocked() >= keepQueued
			e.mu.Unlock()
			if keep {
				return f, nil
			}
			return e.copy(f), nil
		}
		err := e.failure
		e.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// spareLocked is how many buffers the driver has, or can have, without those
// that are out.
func (e *engine) spareLocked() int {
	n := 0
	for i := range e.bufs {
		if e.bufs[i].state != out {
			n++
		}
	}
	return n
}

// copy makes an independent frame and gives the buffer back.
func (e *engine) copy(f *frame.Frame) *frame.Frame {
	g := e.pool.Get(len(f.Data))
	copy(g.Data, f.Data)
	g.Meta = f.Meta
	f.Release()
	e.mu.Lock()
	e.copied++
	e.mu.Unlock()
	return g
}

// ask begins a capture in continuous mode: what is ready was captured before
// anybody asked.
func (e *engine) ask() error {
	e.mu.Lock()
	e.skip = 0
	old := e.newest
	e.newest = nil
	if old != nil {
		e.led.Lost[frame.LostGap]++
	}
	e.mu.Unlock()
	if old != nil {
		old.Release()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failure != nil {
		return e.failure
	}
	return e.fillLocked()
}

// Next gives the next frame as mode and port demand.
func (e *engine) Next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.port == capture.Still {
		return e.shoot(ctx)
	}
	if e.mode == capture.Continuous {
		if err := e.ask(); err != nil {
			return nil, err
		}
	}
	return e.next(ctx)
}

// shoot is one picture of the still port.
func (e *engine) shoot(ctx context.Context) (*frame.Frame, error) {
	e.mu.Lock()
	e.skip = settle
	e.mu.Unlock()
	if err := e.start(); err != nil {
		return nil, err
	}
	f, err := e.next(ctx)
	if stopErr := e.halt(); err == nil && stopErr != nil {
		f.Release()
		return nil, stopErr
	}
	return f, err
}

// close ends everything; buffers that are out are unmapped when they come back.
func (e *engine) close() error {
	err := e.halt()
	e.mu.Lock()
	e.closed = true
	for i := range e.bufs {
		if e.bufs[i].state == idle {
			e.strm.Unmap(i)
		}
	}
	e.mu.Unlock()
	// Without this the device would stay busy for as long as somebody looks at
	// the last frame. Kernels that cannot (EBUSY) free it with the last mapping.
	e.strm.Release()
	return err
}

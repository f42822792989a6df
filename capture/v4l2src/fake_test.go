package v4l2src

import (
	"errors"
	"os"
	"sync"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

// fakeDriver fills queued buffers at a rate, as vb2 does: in the order they were
// queued, and none while none is queued, which shows in the sequence numbers.
type fakeDriver struct {
	interval time.Duration
	atLeast  int // buffers that must be queued for one to be filled
	startErr error

	mu       sync.Mutex
	data     [][]byte
	queued   []int
	done     []v4l2.Buffer
	seq      uint32
	starts   int
	unmapped int
	released bool
	stop     chan struct{}
	fail     error
	flags    func(seq uint32) (flags uint32, used int) // damage to do
	more     chan struct{}
	deadline time.Time
}

func newDriver(n int) *fakeDriver {
	d := &fakeDriver{interval: 10 * time.Millisecond, atLeast: 1, more: make(chan struct{}, 1)}
	for range n {
		d.data = append(d.data, make([]byte, 100))
	}
	return d
}

func (d *fakeDriver) Len() int          { return len(d.data) }
func (d *fakeDriver) Data(i int) []byte { return d.data[i] }

func (d *fakeDriver) Queue(i int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	for _, q := range d.queued {
		if q == i {
			return errors.New("queued twice")
		}
	}
	d.queued = append(d.queued, i)
	return nil
}

func (d *fakeDriver) Start() error {
	if d.startErr != nil {
		return d.startErr
	}
	d.mu.Lock()
	d.starts++
	d.seq = 0
	d.stop = make(chan struct{})
	stop := d.stop
	d.mu.Unlock()
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(d.interval):
				d.tick()
			}
		}
	}()
	return nil
}

func (d *fakeDriver) tick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	if len(d.queued) < d.atLeast {
		return
	}
	i := d.queued[0]
	d.queued = d.queued[1:]
	b := v4l2.Buffer{Index: i, BytesUsed: 100, Sequence: d.seq, Timestamp: frame.MonotonicNow()}
	if d.flags != nil {
		b.Flags, b.BytesUsed = d.flags(d.seq)
	}
	for k := range d.data[i] {
		d.data[i][k] = byte(d.seq)
	}
	d.done = append(d.done, b)
	d.wake()
}

func (d *fakeDriver) wake() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

func (d *fakeDriver) Wait(b *v4l2.Buffer) error {
	for {
		d.mu.Lock()
		switch {
		case d.stop == nil:
			d.mu.Unlock()
			return v4l2.ErrStopped
		case d.fail != nil:
			d.mu.Unlock()
			return d.fail
		case len(d.done) > 0:
			*b = d.done[0]
			d.done = d.done[1:]
			d.mu.Unlock()
			return nil
		}
		stop, left := d.stop, time.Until(d.deadline)
		d.mu.Unlock()
		select {
		case <-d.more:
		case <-stop:
			return v4l2.ErrStopped
		case <-time.After(left):
			return os.ErrDeadlineExceeded
		}
	}
}

func (d *fakeDriver) SetDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = t
	return nil
}

func (d *fakeDriver) Interrupt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		close(d.stop)
		d.stop = nil
	}
}

func (d *fakeDriver) Stop() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queued, d.done = nil, nil
	return nil
}

func (d *fakeDriver) Unmap(int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unmapped++
	return nil
}

func (d *fakeDriver) Release() error { d.released = true; return nil }

func newEngine(d *fakeDriver, mode capture.Mode, port capture.Port) *engine {
	e := &engine{strm: d, alive: func() error { d.mu.Lock(); defer d.mu.Unlock(); return d.fail }, mode: mode, port: port, least: 50, ival: d.interval,
		meta: frame.Meta{Format: frame.GREY, Width: 10, Height: 10, Stride: 10}}
	e.stamps.realtime = func() int64 { return 0 }
	e.launch()
	if port == capture.Video {
		if mode == capture.Continuous {
			e.skip = -1
		}
		if err := e.start(); err != nil {
			panic(err)
		}
	}
	return e
}

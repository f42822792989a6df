package experiment

import (
	"bytes"
	"sync"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/measure"
)

// closed is a finished record with the rows of its frames.
type closed struct {
	record *measure.Record
	frames []byte
	began  time.Time
}

// visitTap measures one visit: a meter of its own, and the frames of each record.
// Its methods are on the frame path; records that are finished wait in a channel
// that has room for all of them.
type visitTap struct {
	name   string
	length time.Duration
	closed chan closed

	mu    sync.Mutex
	meter *measure.Meter
	log   *measure.FrameLog // guarded by mu; writes to rows
	rows  bytes.Buffer      // guarded by mu
	last  time.Time         // guarded by mu; when the last frame came
	bad   error             // guarded by mu; of the frame log
}

func newVisitTap(name string, length time.Duration, records int) (*visitTap, error) {
	t := &visitTap{name: name, length: length, closed: make(chan closed, records), last: time.Now()}
	t.meter = measure.NewMeter(measure.Config{Camera: name, RecordLength: length, Records: records, Closed: t.close})
	var err error
	if t.log, err = measure.NewFrameLog(&t.rows); err != nil {
		return nil, err
	}
	t.rows.Reset() // the header is the folder's affair
	return t, nil
}

// close takes the rows of the record that the meter has just closed: it is called
// by the meter, while t.mu is held, before the frame that begins the next record
// is logged.
func (t *visitTap) close(r *measure.Record) {
	if err := t.log.Flush(); err != nil && t.bad == nil {
		t.bad = err
	}
	c := closed{record: r, frames: bytes.Clone(t.rows.Bytes()), began: time.Now().Add(-time.Duration(r.Elapsed * float64(time.Second)))}
	t.rows.Reset()
	if r.Complete {
		t.closed <- c // has room for all complete records
	}
}

// Frame implements stream.Tap.
func (t *visitTap) Frame(f *frame.Meta, size int, stamped bool, o clocksync.Offset) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	t.meter.Frame(f, size, stamped, o)
	if !t.meter.Done() {
		t.log.Frame(t.name, f, size, stamped, o)
	}
}

// Refused implements stream.Tap.
func (t *visitTap) Refused(c *frame.Counts, stamped bool) { t.meter.Refused(c, stamped) }

// Counts implements stream.Tap.
func (t *visitTap) Counts(c *frame.Counts) { t.meter.Counts(c) }

// tick closes a record whose time is over while no frames come, and returns how
// long none has come.
func (t *visitTap) tick() (silent time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meter.Tick(frame.ReceiverNow())
	return time.Since(t.last), t.bad
}

func (t *visitTap) live() measure.Live { return t.meter.Live(frame.ReceiverNow()) }

// firstFrame is a tap that waits for a frame that is as asked.
type firstFrame struct {
	want func(*frame.Meta) bool
	once sync.Once
	came chan struct{}
}

func newFirstFrame(want func(*frame.Meta) bool) *firstFrame {
	return &firstFrame{want: want, came: make(chan struct{})}
}

// Frame implements stream.Tap.
func (t *firstFrame) Frame(f *frame.Meta, _ int, _ bool, _ clocksync.Offset) {
	if t.want(f) {
		t.once.Do(func() { close(t.came) })
	}
}

// Refused implements stream.Tap.
func (t *firstFrame) Refused(*frame.Counts, bool) {}

// Counts implements stream.Tap.
func (t *firstFrame) Counts(*frame.Counts) {}

package v4l2src

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

func must(t *testing.T, e *engine) *frame.Frame {
	t.Helper()
	f, err := e.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// account checks the ledger's promise on the n-th frame (from 0) returned.
func account(t *testing.T, f *frame.Frame, n uint64) {
	t.Helper()
	if f.Counts.Offered != f.Seq || f.Counts.Offered-1-f.Counts.LostTotal() != n {
		t.Fatalf("frame %d: seq %d, %+v", n, f.Seq, f.Counts)
	}
}

func TestSequenceGivesTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(4)
		e := newEngine(d, capture.Sequence, capture.Video)
		defer e.close()
		for n := range uint64(50) {
			time.Sleep(73 * time.Millisecond) // a slow consumer: the driver must not run dry
			f := must(t, e)
			account(t, f, n)
			if age := frame.SenderNow().Sub(f.Captured); age > d.interval {
				t.Fatalf("frame %d is %v old", n, age)
			}
			if f.Counts.Lost[frame.LostGap] != 0 {
				t.Fatalf("the driver ran dry: %+v", f.Counts)
			}
			f.Release()
		}
	})
}

func TestContinuousBeginsWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(4)
		e := newEngine(d, capture.Continuous, capture.Video)
		defer e.close()
		for n := range uint64(30) {
			time.Sleep(45 * time.Millisecond)
			asked := frame.SenderNow()
			f := must(t, e)
			account(t, f, n)
			if f.Captured < asked {
				t.Fatalf("frame %d was captured %v before it was asked for", n, asked.Sub(f.Captured))
			}
			if n > 3 && f.Counts.Lost[frame.LostGap] < 3*(n-3) {
				t.Fatalf("frame %d: %+v", n, f.Counts)
			}
			f.Release()
		}
	})
}

// A driver that holds the last buffer back needs two.
func TestContinuousDeepens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(4)
		d.atLeast = 2
		e := newEngine(d, capture.Continuous, capture.Video)
		defer e.close()
		for n := range uint64(20) {
			time.Sleep(45 * time.Millisecond)
			f := must(t, e)
			account(t, f, n)
			f.Release()
		}
		if !e.depthBad {
			t.Error("not noticed")
		}
	})
}

func TestHeldFramesAreCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
			d := newDriver(4)
			e := newEngine(d, mode, capture.Video)
			var held []*frame.Frame
			for n := range uint64(12) {
				f := must(t, e)
				account(t, f, n)
				held = append(held, f)
			}
			if e.copied < 8 {
				t.Errorf("%v: %d copies", mode, e.copied)
			}
			for i, f := range held {
				if i > 0 && f.Data[0] <= held[i-1].Data[0] {
					t.Errorf("%v: frame %d was overwritten", mode, i)
				}
			}
			if err := e.close(); err != nil {
				t.Error(err)
			}
			if d.unmapped > 2 {
				t.Errorf("%v: %d unmapped while frames are out", mode, d.unmapped)
			}
			for _, f := range held {
				go f.Release()
			}
			synctest.Wait()
			if d.unmapped != 4 || !d.released || e.pool.Out() != 0 {
				t.Errorf("%v: %d of 4 unmapped, released %v, %d copies out", mode, d.unmapped, d.released, e.pool.Out())
			}
		}
	})
}

func TestDamagedBuffers(t *testing.T) {
	for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
		synctest.Test(t, func(t *testing.T) {
			d := newDriver(4)
			d.flags = func(seq uint32) (uint32, int) {
				switch seq % 5 {
				case 1:
					return v4l2.BufFlagError, 100
				case 2:
					return 0, 0
				case 3:
					return 0, 49
				}
				return 0, 100
			}
			e := newEngine(d, mode, capture.Video)
			defer e.close()
			var c frame.Counts
			for n := range uint64(30) {
				f := must(t, e)
				account(t, f, n)
				if s := f.Data[0] % 5; s != 0 && s != 4 {
					t.Fatalf("frame with sequence %d came through", f.Data[0])
				}
				c = f.Counts
				f.Release()
			}
			if c.Lost[frame.LostDriverError] < 30 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestSilenceAndDeath(t *testing.T) {
	dead := errors.New("no such device")
	for _, tc := range []struct {
		name string
		kill func(*fakeDriver)
		want error
		from time.Duration
		to   time.Duration
	}{
		{"silence", func(d *fakeDriver) { d.atLeast = 99 }, errSilent, 4 * time.Second, 7 * time.Second},
		{"death", func(d *fakeDriver) { d.fail = dead; d.wake() }, dead, 0, time.Second},
		{"death without a sign", func(d *fakeDriver) { d.fail, d.atLeast = dead, 99 }, dead, 0, 2 * time.Second},
		{"damaged for ever", func(d *fakeDriver) { d.flags = func(uint32) (uint32, int) { return v4l2.BufFlagError, 100 } }, errSilent, 4 * time.Second, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDriver(4)
				e := newEngine(d, capture.Sequence, capture.Video)
				defer e.close()
				must(t, e).Release()
				d.mu.Lock()
				tc.kill(d)
				d.mu.Unlock()
				start := time.Now()
				var err error
				for err == nil {
					var f *frame.Frame
					if f, err = e.Next(t.Context()); err == nil {
						f.Release()
					}
				}
				if took := time.Since(start); !errors.Is(err, tc.want) || took < tc.from || took > tc.to {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// A consumer that holds everything, or does not ask, is no reason to call the
// camera dead.
func TestIdlenessIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
			e := newEngine(newDriver(4), mode, capture.Video)
			must(t, e).Release()
			time.Sleep(time.Minute)
			must(t, e).Release()
			e.close()
		}
	})
}

func TestStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(4)
		e := newEngine(d, capture.Sequence, capture.Still)
		var held []*frame.Frame
		for n := range uint64(6) {
			f := must(t, e)
			account(t, f, n)
			if f.Counts.LostTotal() != 0 || f.Data[0] != settle+1 {
				t.Errorf("shot %d is the driver's frame %d, %+v", n, f.Data[0], f.Counts)
			}
			held = append(held, f)
		}
		if d.starts != 6 || d.stop != nil {
			t.Errorf("started %d times for 6 shots", d.starts)
		}
		e.close()
		for _, f := range held {
			f.Release()
		}
		if d.unmapped != 4 {
			t.Errorf("%d of 4 unmapped", d.unmapped)
		}
	})
}

func TestCancelledNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(4)
		d.interval = time.Second
		e := newEngine(d, capture.Continuous, capture.Video)
		defer e.close()
		time.Sleep(10500 * time.Millisecond) // what was queued to begin with is filled; between two ticks
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if _, err := e.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		must(t, e).Release()
	})
}

func TestFailedStart(t *testing.T) {
	d := newDriver(4)
	d.startErr = errors.New("no space")
	e := &engine{strm: d, alive: func() error { return nil }}
	e.launch()
	if err := e.start(); !errors.Is(err, d.startErr) {
		t.Error(err)
	}
	if err := e.close(); err != nil || d.unmapped != 4 {
		t.Errorf("%v, %d unmapped", err, d.unmapped)
	}
}

func TestLedger(t *testing.T) {
	type step struct {
		seq uint32
		ms  int64
	}
	for _, tc := range []struct {
		name    string
		steps   []step
		offered uint64
		gaps    uint64
	}{
		{"in order", []step{{7, 0}, {8, 10}, {9, 20}}, 3, 0},
		{"gap", []step{{7, 0}, {10, 30}}, 4, 2},
		{"repeated", []step{{7, 0}, {7, 10}, {8, 20}}, 3, 0},
		{"stepping back", []step{{7, 0}, {6, 10}, {7, 20}, {9, 40}}, 5, 1},
		{"wrapping", []step{{0xfffffffe, 0}, {1, 30}}, 4, 2},
		{"reset", []step{{5000, 0}, {0, 10}, {1, 20}}, 3, 0},
		{"a jump there was no time for", []step{{0, 0}, {100000, 10}, {100001, 20}}, 3, 0},
		{"a long pause", []step{{0, 0}, {1000, 10000}}, 1001, 999},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := ledger{interval: int64(10 * time.Millisecond)}
			for _, s := range tc.steps {
				l.arrive(s.seq, s.ms*1e6)
			}
			if l.Offered != tc.offered || l.Lost[frame.LostGap] != tc.gaps {
				t.Errorf("%+v", l.Counts)
			}
		})
	}
}

func TestStamps(t *testing.T) {
	const now, real = int64(1e12), int64(1.7e18)
	ms := func(n int64) int64 { return n * 1e6 }
	soe := uint32(0x10000)
	for _, tc := range []struct {
		name  string
		ts    int64
		flags uint32
		want  int64
		kind  frame.StampKind
	}{
		{"monotonic", now - ms(20), 0, now - ms(20), frame.StampEnd},
		{"monotonic, start", now - ms(20), soe, now - ms(20), frame.StampStart},
		{"realtime", real - ms(20), soe, now - ms(20), frame.StampStart},
		{"none", 0, 0, now, frame.StampArrival},
		{"another clock", 12345678, 0, now, frame.StampArrival},
		{"rounded up", now + ms(1), 0, now, frame.StampEnd},
		{"future", now + ms(90), 0, now, frame.StampArrival},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := stamper{realtime: func() int64 { return real }}
			got, kind := s.stamp(&v4l2.Buffer{Timestamp: tc.ts, Flags: tc.flags}, now)
			if int64(got) != tc.want || kind != tc.kind {
				t.Errorf("%v from now, %v", time.Duration(int64(got)-now), kind)
			}
		})
	}
}

func TestNotes(t *testing.T) {
	if got := offer(nil); !strings.Contains(got, "none") {
		t.Error(got)
	}
}

package v4l2src

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

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

// Frames released on other goroutines, at any time, in any order, the camera
// closed in between.
func TestManyConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
			d := newDriver(4)
			e := newEngine(d, mode, capture.Video)
			for n := range uint64(200) {
				f := must(t, e)
				account(t, f, n)
				for k := range int(n % 4) {
					f.Retain()
					go func() {
						want := f.Data[0]
						time.Sleep(time.Duration(k*17) * time.Millisecond)
						for _, v := range f.Data {
							if v != want {
								t.Errorf("%v: a frame changed while it was held", mode)
								break
							}
						}
						f.Release()
					}()
				}
				f.Release()
			}
			e.close()
			time.Sleep(time.Second)
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.unmapped != 4 || e.pool.Out() != 0 {
				t.Errorf("%v: %d of 4 unmapped, %d copies out", mode, d.unmapped, e.pool.Out())
			}
		}
	})
}

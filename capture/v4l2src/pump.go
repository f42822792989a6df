package v4l2src

import (
	"errors"
	"fmt"
	"os"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

// pump dequeues until it is interrupted or the device fails.
func (e *engine) pump(ended chan<- struct{}) {
	defer close(ended)
	var b v4l2.Buffer
	for {
		err := e.strm.Wait(&b)
		switch {
		case err == nil:
			e.take(&b)
		case errors.Is(err, v4l2.ErrStopped):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = e.look()
			if err != nil {
				e.mu.Lock()
				e.failLocked(err)
				e.mu.Unlock()
				return
			}
			e.strm.SetDeadline(time.Now().Add(tick))
		default:
			if gone := e.alive(); gone != nil {
				err = gone // says more than "poll error"
			}
			e.mu.Lock()
			e.failLocked(err)
			e.mu.Unlock()
			return
		}
	}
}

// look is called when a second has gone by: is the device still there, and does
// it deliver?
func (e *engine) look() error {
	if err := e.alive(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.nQueued == 0 {
		return nil // nothing was asked of it
	}
	quiet := time.Since(e.good)
	if e.mode == capture.Continuous && e.port == capture.Video && e.depth == 1 && quiet > max(tick, 4*e.ival) {
		// This driver keeps a buffer back until it has another.
		e.depth, e.depthBad = 2, true
		return e.fillLocked()
	}
	if limit := max(silence, 5*e.ival); quiet > limit {
		return fmt.Errorf("%w: no frames for %v", errSilent, limit.Round(time.Second))
	}
	return nil
}

var errSilent = errors.New("the driver is silent")

// fillLocked queues idle buffers up to the depth of continuous mode.
func (e *engine) fillLocked() error {
	for i := range e.bufs {
		if e.nQueued >= e.depth {
			break
		}
		if e.bufs[i].state == idle {
			if err := e.queueLocked(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// take puts a dequeued buffer into the slot, or back where it belongs.
func (e *engine) take(b *v4l2.Buffer) {
	now := frame.MonotonicNow()
	buf := &e.bufs[b.Index]
	data := e.strm.Data(b.Index)
	lo, hi := min(max(b.DataOffset, 0), len(data)), min(max(b.BytesUsed, 0), len(data))

	e.mu.Lock()
	e.nQueued--
	buf.state = out
	if e.skip != 0 {
		if e.skip > 0 {
			e.skip--
		}
		e.good = time.Now()
		e.mu.Unlock()
		e.back(b.Index)
		return
	}
	e.led.arrive(b.Sequence, now)
	if b.Damaged() || hi-lo < e.least {
		e.led.Lost[frame.LostDriverError]++
		e.bad++
		pause := e.bad > 2*queueLength
		e.requeueDamaged(b.Index)
		e.mu.Unlock()
		if pause { // an unplugged camera returns buffers as fast as they are queued
			time.Sleep(5 * time.Millisecond)
		}
		return
	}
	e.bad = 0
	e.good = time.Now()
	old := e.newest
	if old != nil {
		e.led.Lost[e.passedOver()]++
	}
	f := buf.f
	if f == nil {
		f = frame.New(data[lo:hi:hi], buf)
		buf.f = f
	} else {
		f.Reset(data[lo:hi:hi])
	}
	f.Meta = e.meta
	f.Captured, f.StampKind = e.stamps.stamp(b, now)
	f.Dequeued = frame.SenderTime(now)
	f.Seq, f.Counts = e.led.Offered, e.led.Counts
	e.kind = f.StampKind
	e.newest = f
	if e.port == capture.Still {
		e.skip = -1 // one was asked for; what comes until STREAMOFF nobody wants
	}
	e.mu.Unlock()
	if old != nil {
		old.Release()
	}
	e.wake()
}

// requeueDamaged gives a buffer with nothing in it straight back, in every mode:
// whoever waits still waits. Called with e.mu held.
func (e *engine) requeueDamaged(i int) {
	e.bufs[i].state = idle
	if e.failure == nil {
		if err := e.queueLocked(i); err != nil {
			e.failLocked(err)
		}
	}
}

// passedOver is the cause of a frame that was ready and not wanted.
func (e *engine) passedOver() frame.Cause {
	if e.mode == capture.Continuous {
		return frame.LostGap // it would not have been captured, had the driver been content with one buffer
	}
	return frame.LostEncoderBusy
}

// Package alarm waits for a moment as exactly as the system can.
//
// Go's timers end up to a millisecond late on Linux, because the runtime waits
// for them in epoll_wait(2), whose timeout is in whole milliseconds. A synthetic
// camera's stamp is the moment of its tick, so that lateness would be measured as
// latency of whatever is behind the camera. A timer of the kernel
// (timerfd_create(2)) is late by the wake-up alone.
package alarm

import (
	"context"
	"time"
)

// Timer waits; it is for one goroutine at a time. Close frees it.
type Timer struct {
	plain *time.Timer
	exact exact
}

// New makes a timer. It starts no goroutine.
func New() *Timer {
	t := &Timer{plain: time.NewTimer(time.Hour)}
	t.plain.Stop()
	t.exact.open()
	return t
}

// Wait returns after d, or with ctx's error when that ends. It allocates only
// when it is given another context than last time.
func (t *Timer) Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	if t.exact.usable() {
		return t.exact.wait(ctx, d)
	}
	t.plain.Reset(d)
	select {
	case <-t.plain.C:
		return nil
	case <-ctx.Done():
		t.plain.Stop()
		return ctx.Err()
	}
}

// Close ends the use of the timer. Nobody may be waiting.
func (t *Timer) Close() {
	t.plain.Stop()
	t.exact.close()
}

//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waiter is the part of a Stream that knows the Go runtime's poller, and the
// ways in which drivers' poll functions go wrong with it:
//
//   - Before streaming has begun they report EPOLLERR, which the poller remembers.
//     So the descriptor is registered after STREAMON, as a duplicate.
//   - Most take a lock first (vb2_fop_poll), and if a signal interrupts that,
//     report EPOLLERR without having put themselves on the wait queue: nothing
//     would ever wake the poller again. The Go runtime sends itself signals all
//     the time. So they are blocked while registering, and a later EPOLLERR is
//     answered by registering anew before it is believed.
//   - Kernels before 5.11 do not join the wait queue either if a frame is ready
//     at that moment. So a deadline that finds a frame waiting, twice without a
//     wake-up in between, is reason to register anew, too.
type waiter struct {
	s      *Stream
	tryDeq func(fd uintptr) bool // made once: a closure per Wait would be an allocation per frame
	buf    *Buffer               // where tryDeq puts the frame
	err    error                 // what it got
	calls  int                   // how often it was called in this Wait
	missed int                   // deadlines that found a frame, since the last wake-up

	mu       sync.Mutex
	file     *os.File // guarded by mu; nil unless streaming
	conn     syscall.RawConn
	stopped  bool
	deadline time.Time
}

func (w *waiter) init(s *Stream) {
	w.s = s
	w.tryDeq = func(uintptr) bool {
		w.calls++
		w.err = w.s.Dequeue(w.buf)
		return w.err != unix.EAGAIN
	}
}

// register puts the device into the poller, anew if it is there. Called with mu
// held.
func (w *waiter) register() error {
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	fd, err := unix.FcntlInt(uintptr(w.s.d.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	masked := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old)
	w.file = os.NewFile(uintptr(fd), w.s.d.path)
	if masked == nil {
		unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	}
	runtime.UnlockOSThread()
	if err := w.file.SetReadDeadline(w.deadline); err != nil {
		return err // the poller does not take it
	}
	w.conn, err = w.file.SyscallConn()
	return err
}

// Wait takes the next filled buffer, waiting until there is one, until the
// deadline, or until Interrupt or Stop.
func (w *waiter) Wait(b *Buffer) error {
	for try := 0; ; try++ {
		w.mu.Lock()
		conn, stopped := w.conn, w.stopped
		w.mu.Unlock()
		if stopped || conn == nil {
			return ErrStopped
		}
		w.buf, w.calls = b, 0
		err := conn.Read(w.tryDeq)
		if err == nil {
			if w.calls > 1 {
				w.missed = 0
			}
			return w.err
		}
		// Neither a deadline nor an error of the poller means that there is nothing.
		got := w.s.Dequeue(b)
		expired := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case got != unix.EAGAIN && !expired, got != unix.EAGAIN && w.missed > 0:
			w.again()
			return got
		case got != unix.EAGAIN:
			w.missed++
			return got
		case expired:
			return os.ErrDeadlineExceeded
		case try == 3:
			return ErrPoll
		}
		if err := w.again(); err != nil {
			return err
		}
	}
}

// again registers anew, unless streaming was stopped.
func (w *waiter) again() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return ErrStopped
	}
	w.missed = 0
	if err := w.register(); err != nil {
		return w.s.d.wrap("register with the poller", err)
	}
	return nil
}

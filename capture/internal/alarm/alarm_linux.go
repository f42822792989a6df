package alarm

import (
	"context"
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"framepipe/internal/rawio"
)

// exact is a timer of the kernel, read through the runtime's poller.
type exact struct {
	file *os.File // nil where there is none
	read *rawio.Reader
	fd   int
	ctx  context.Context // that stop belongs to
	stop func() bool

	times [8]byte // how often it went off; of no interest
	at    unix.ItimerSpec
}

// born relates this process's clock to the kernel's.
var born, bornKernel = time.Now(), kernelNow()

func kernelNow() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func (e *exact) open() {
	// Where time is simulated (testing/synctest), the kernel's would be another.
	if apart := time.Since(born) - (kernelNow() - bornKernel); apart.Abs() > time.Minute {
		return
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return
	}
	e.fd, e.file = fd, os.NewFile(uintptr(fd), "timerfd")
	e.read = rawio.NewReader(e.file)
}

func (e *exact) usable() bool { return e.file != nil }

func (e *exact) set(d time.Duration) error {
	e.at.Value = unix.NsecToTimespec(int64(d))
	if _, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(e.fd), 0, uintptr(unsafe.Pointer(&e.at)), 0, 0, 0); errno != 0 {
		return os.NewSyscallError("timerfd_settime", errno)
	}
	return nil
}

func (e *exact) wait(ctx context.Context, d time.Duration) error {
	if ctx != e.ctx {
		e.forget()
		e.ctx = ctx
		file := e.file
		e.stop = context.AfterFunc(ctx, func() { file.SetReadDeadline(time.Unix(1, 0)) })
	}
	if err := e.set(d); err != nil {
		return err
	}
	for {
		_, err := e.read.Read(e.times[:])
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		e.file.SetReadDeadline(time.Time{}) // the last context ended as this one began
	}
}

// forget takes back what the last context was promised.
func (e *exact) forget() {
	if e.stop != nil && !e.stop() {
		e.file.SetReadDeadline(time.Time{})
	}
	e.ctx, e.stop = nil, nil
}

func (e *exact) close() {
	if e.file == nil {
		return
	}
	if e.stop != nil {
		e.stop()
	}
	e.file.Close()
	e.file = nil
}

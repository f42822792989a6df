//go:build linux || darwin

package mjpegstream

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"framepipe/internal/rawio"
)

// interruptible reads f so that stop ends a read that waits. Standard input is in
// blocking mode and shared with other processes, so it is not switched to another
// mode: where the system lets us open the pipe once more, that one is read, else it
// is polled together with a pipe of our own.
// Free is called when nobody reads any more.
func interruptible(f *os.File) (r io.Reader, stop, free func() error, err error) {
	if own := reopen(f); own != nil {
		return rawio.NewReader(own), own.Close, func() error { return nil }, nil
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	return &pollReader{f, pr}, pw.Close, pr.Close, nil // closing one end makes the other readable
}

// reopen opens a pipe again with a mode of its own, which Linux can (proc(5),
// /proc/pid/fd), if it is one and ours to open; else it returns nil.
func reopen(f *os.File) *os.File {
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeNamedPipe == 0 || runtime.GOOS != "linux" {
		return nil
	}
	own, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	rawio.GrowPipe(own, pipeSize)
	return own
}

// pipeSize is room for a frame of usual size: who writes one need not wait, and nobody is
// woken for each 64 kB of it. More would let frames grow old there.
const pipeSize = 256 << 10

type pollReader struct {
	f    *os.File
	wake *os.File
}

func (p *pollReader) Read(b []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(p.f.Fd()), Events: unix.POLLIN}, {Fd: int32(p.wake.Fd()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return 0, os.NewSyscallError("poll", err)
		}
		if fds[1].Revents != 0 {
			return 0, os.ErrClosed
		}
		return p.f.Read(b)
	}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), ioctlGetTermios)
	return err == nil
}

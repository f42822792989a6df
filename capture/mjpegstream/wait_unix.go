//go:build linux || darwin

package mjpegstream

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// interruptible reads f so that stop ends a read that waits. Standard input is in
// blocking mode and shared with other processes, so it is polled together with a
// pipe of our own rather than switched to another mode.
// Free is called when nobody reads any more.
func interruptible(f *os.File) (r io.Reader, stop, free func() error, err error) {
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	return &pollReader{f, pr}, pw.Close, pr.Close, nil // closing one end makes the other readable
}

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

//go:build unix

package secure

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peek looks at a socket's first byte and leaves it there.
func peek(c net.Conn) (first byte, err error, ok bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, nil, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, nil, false
	}
	var b [1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK)
			if failed != unix.EINTR {
				return failed != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
	case failed != nil:
		err = failed
	case n == 0:
		err = io.EOF
	}
	return b[0], err, true
}

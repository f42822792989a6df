package stream

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lowatMost bounds SO_RCVLOWAT: the kernel makes the receive buffer twice as
// large as that, and a peer's announcement alone must not cost memory.
const lowatMost = 256 << 10

// sockReader reads a connection with as few system calls and wake-ups as can be: one
// readv takes the rest of a frame and the beginning of what follows, and while
// bytes are missing, the kernel wakes us when they are there rather than for each
// segment (SO_RCVLOWAT, socket(7); Linux acknowledges segments at once that it
// does not wake a reader for, so that the sender sees no difference).
type sockReader struct {
	raw   syscall.RawConn
	vec   [2][]byte
	want  int
	lowat int // in force; 0 = cannot be set
	n     int
	err   error
	try   func(fd uintptr) bool
}

func newSockReader(conn net.Conn) *sockReader {
	s := &sockReader{lowat: 1}
	s.try = s.tryOnce // once, because a method value allocates
	if c, ok := conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn()
	}
	return s
}

// read fills a, then b, and returns the number of bytes, at least one without an
// error. It may wait until want bytes are there, unless the connection ends.
func (s *sockReader) read(conn net.Conn, a, b []byte, want int) (int, error) {
	if s.raw == nil {
		return conn.Read(a)
	}
	s.vec = [2][]byte{a, b}
	s.want = max(1, min(want, lowatMost))
	if err := s.raw.Read(s.try); err != nil {
		return 0, err
	}
	return s.n, s.err
}

func (s *sockReader) tryOnce(fd uintptr) bool {
	v := s.vec[:]
	if len(v[1]) == 0 {
		v = v[:1]
	}
	for {
		s.n, s.err = unix.Readv(int(fd), v)
		switch {
		case s.err == unix.EINTR:
			continue
		case s.err == unix.EAGAIN:
			// Read again after a change: bytes that are there already raise no event.
			if s.setLowat(fd) {
				continue
			}
			return false
		case s.err != nil:
			s.n, s.err = 0, os.NewSyscallError("readv", s.err)
		case s.n == 0:
			s.err = io.EOF
		}
		return true
	}
}

// setLowat tells the kernel when to wake us, and reports whether that changed.
func (s *sockReader) setLowat(fd uintptr) bool {
	if s.lowat == 0 || s.lowat == s.want {
		return false
	}
	if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, s.want) != nil {
		s.lowat = 0
		return false
	}
	s.lowat = s.want
	return true
}

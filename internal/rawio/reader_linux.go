package rawio

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reader reads a socket or a pipe with as few system calls and wake-ups as can be: one
// readv takes the rest of a frame and the beginning of what follows, and while bytes are
// missing, the kernel wakes us when they are there rather than for each segment
// (SO_RCVLOWAT, socket(7); Linux acknowledges segments at once that it does not wake a
// reader for, so that the sender sees no difference). Not for concurrent use.
type Reader struct {
	under io.Reader
	raw   syscall.RawConn // nil: under is read
	iov   [2]unix.Iovec
	num   int
	want  int
	lowat int // in force; 0 = cannot be set
	n     int
	err   error
	try   func(fd uintptr) bool // made once
}

// NewReader reads r.
func NewReader(r io.Reader) *Reader {
	s := &Reader{under: r, raw: rawConn(r), lowat: 1}
	s.try = s.readv
	return s
}

// Read implements io.Reader.
func (s *Reader) Read(b []byte) (int, error) { return s.ReadV(b, nil, 1) }

// ReadV fills a, then b, and returns the number of bytes, at least one without an error
// if a has room. It may wait until want bytes are there, unless the other side ends;
// where the kernel cannot wait for several, and where it is no socket, it waits for one,
// and b may stay empty. Errors are the operating system's, wrapped; a deadline's and that
// of a closed connection are package net's.
func (s *Reader) ReadV(a, b []byte, want int) (int, error) {
	if s.raw == nil {
		return s.under.Read(a)
	}
	s.num = 0
	for _, v := range [...][]byte{a, b} {
		if len(v) > 0 {
			s.iov[s.num].Base = unsafe.SliceData(v)
			s.iov[s.num].SetLen(len(v))
			s.num++
		}
	}
	if s.num == 0 {
		return 0, nil
	}
	s.want = max(1, min(want, LowatMost))
	err := s.raw.Read(s.try)
	clear(s.iov[:]) // holds on to nobody's frame
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

func (s *Reader) readv(fd uintptr) bool {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&s.iov[0])), uintptr(s.num))
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			// Read again after a change: bytes that are there already raise no event.
			if s.setLowat(fd) {
				continue
			}
			return false
		case e != 0:
			s.n, s.err = 0, os.NewSyscallError("read", e)
		case n == 0:
			s.n, s.err = 0, io.EOF
		default:
			s.n, s.err = int(n), nil
		}
		return true
	}
}

// setLowat tells the kernel when to wake us, and reports whether that changed.
func (s *Reader) setLowat(fd uintptr) bool {
	if s.lowat == 0 || s.lowat == s.want {
		return false
	}
	want := int32(s.want)
	if _, _, e := unix.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, uintptr(unsafe.Pointer(&want)), unsafe.Sizeof(want), 0); e != 0 {
		s.lowat = 0
		return false
	}
	s.lowat = s.want
	return true
}

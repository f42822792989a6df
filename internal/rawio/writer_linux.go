package rawio

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawConn is what is below c if its system calls cannot block, else nil.
func rawConn(c any) syscall.RawConn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	nonblocking := false
	err = raw.Control(func(fd uintptr) {
		flags, e := unix.FcntlInt(fd, unix.F_GETFL, 0)
		nonblocking = e == nil && flags&unix.O_NONBLOCK != 0
	})
	if err != nil || !nonblocking {
		return nil
	}
	return raw
}

// Writer writes to one socket without ever waiting for it, so that who has a frame can
// send it at once where there is room, and needs nobody who may wait. What to do about
// what did not fit is the caller's. Not for concurrent use.
type Writer struct {
	raw syscall.RawConn
	iov [MaxParts]unix.Iovec
	num int
	n   int
	err error
	do  func(fd uintptr) // made once
}

// NewWriter returns nil where a write cannot be tried: conn is no socket (TLS, a
// simulated one), or the system is not Linux.
func NewWriter(conn net.Conn) *Writer {
	w := &Writer{raw: rawConn(conn)}
	if w.raw == nil {
		return nil
	}
	w.do = w.writev
	return w
}

// Write sends as much of the parts, one behind the other, as the kernel takes now, and
// returns how much. Less, or nothing, is no error. It holds on to no part.
func (w *Writer) Write(parts [][]byte) (int, error) {
	w.num, w.n, w.err = 0, 0, nil
	for _, p := range parts {
		if len(p) > 0 {
			w.iov[w.num].Base = unsafe.SliceData(p)
			w.iov[w.num].SetLen(len(p))
			w.num++
		}
	}
	err := w.raw.Control(w.do)
	clear(w.iov[:]) // holds on to nobody's frame
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *Writer) writev(fd uintptr) {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&w.iov[0])), uintptr(w.num))
		switch e {
		case 0:
			w.n = int(n)
		case unix.EINTR:
			continue
		case unix.EAGAIN:
		default:
			w.err = e
		}
		return
	}
}

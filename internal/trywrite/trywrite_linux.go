package trywrite

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Writer writes to one socket. Not for concurrent use.
type Writer struct {
	raw syscall.RawConn
	iov [MaxParts]unix.Iovec
	num int
	n   int
	err error
	do  func(fd uintptr) // made once
}

// New returns nil where a write cannot be tried: conn is no socket (TLS, a simulated
// one), or the system is not Linux.
func New(conn net.Conn) *Writer {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	w := &Writer{raw: raw}
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

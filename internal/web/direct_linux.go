package web

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct writes to a socket without ever waiting for it. It does not tell Go's
// scheduler about the system call, which takes microseconds and cannot block: the
// telling, and moving other goroutines to other threads meanwhile, would cost as
// much again as it does.
type direct struct {
	raw syscall.RawConn
	iov [3]unix.Iovec
	num int
	n   int
	err error
	do  func(fd uintptr) // made once
}

func newDirect(conn net.Conn) *direct {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.do = d.writev
	return d
}

// write sends as much of parts as the kernel takes now, and returns how much.
func (d *direct) write(parts *[3][]byte) (int, error) {
	d.num, d.n, d.err = 0, 0, nil
	for _, p := range parts {
		if len(p) > 0 {
			d.iov[d.num].Base = unsafe.SliceData(p)
			d.iov[d.num].SetLen(len(p))
			d.num++
		}
	}
	err := d.raw.Control(d.do)
	clear(d.iov[:]) // holds on to nobody's frame
	if err == nil {
		err = d.err
	}
	return d.n, err
}

func (d *direct) writev(fd uintptr) {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&d.iov[0])), uintptr(d.num))
		switch e {
		case 0:
			d.n = int(n)
		case unix.EINTR:
			continue
		case unix.EAGAIN:
		default:
			d.err = e
		}
		return
	}
}

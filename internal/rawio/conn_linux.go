package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection whose Read and Write do not tell the scheduler. All else is
// the connection's, what package net does with connections of its own included: writing
// a net.Buffers with one call, and sending files.
type Conn struct {
	*net.TCPConn
	raw syscall.RawConn

	in     sync.Mutex // held by who reads
	reader *Reader

	out  sync.Mutex // held by who writes
	rest []byte
	err  error
	do   func(fd uintptr) bool // made once
}

// NewConn wraps c, which is the Conn's from now on.
func NewConn(c *net.TCPConn) *Conn {
	n := &Conn{TCPConn: c, raw: rawConn(c), reader: NewReader(c)}
	n.do = n.write
	return n
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if c.raw == nil {
		return c.TCPConn.Read(b)
	}
	c.in.Lock()
	defer c.in.Unlock()
	n, err := c.reader.Read(b)
	return n, c.explain("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	if c.raw == nil {
		return c.TCPConn.Write(b)
	}
	c.out.Lock()
	defer c.out.Unlock()
	c.rest, c.err = b, nil
	err := c.raw.Write(c.do)
	if err == nil {
		err = c.err
	}
	n := len(b) - len(c.rest)
	c.rest = nil
	return n, c.explain("write", err)
}

// write reports whether there is nothing left to wait for.
func (c *Conn) write(fd uintptr) bool {
	for len(c.rest) > 0 {
		n, _, e := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.rest))), uintptr(len(c.rest)))
		switch e {
		case 0:
			c.rest = c.rest[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			c.err = os.NewSyscallError("write", e)
			return true
		}
	}
	return true
}

// explain makes an error one of package net's: others look for that type and for Op.
func (c *Conn) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	return &net.OpError{Op: op, Net: c.RemoteAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

package stream

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probe asks the kernel about one TCP connection without allocating: it is used
// up to a thousand times a second. Not for concurrent use.
type probe struct {
	rc   syscall.RawConn
	raw  unix.TCPInfo
	n    int
	err  error
	qf   func(uintptr)
	inf  func(uintptr)
	size uint32
}

// newProbe returns nil where the kernel cannot be asked.
func newProbe(conn net.Conn) *probe {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &probe{rc: rc}
	p.qf = func(fd uintptr) { p.n, p.err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }
	p.inf = func(fd uintptr) {
		p.size = uint32(unsafe.Sizeof(p.raw))
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_INFO,
			uintptr(unsafe.Pointer(&p.raw)), uintptr(unsafe.Pointer(&p.size)), 0)
		p.err = nil
		if e != 0 {
			p.err = e
		}
	}
	if _, err := p.queued(); err != nil {
		return nil
	}
	return p
}

// queued is how many bytes were written and are not acknowledged by the other
// side's kernel (SIOCOUTQ, tcp(7)).
func (p *probe) queued() (int, error) {
	if err := p.rc.Control(p.qf); err != nil {
		return 0, err
	}
	return p.n, p.err
}

// info is TCP_INFO; fields that an older kernel does not know are zero.
func (p *probe) info() (tcpInfo, error) {
	p.raw = unix.TCPInfo{}
	if err := p.rc.Control(p.inf); err != nil {
		return tcpInfo{}, err
	}
	return tcpInfo{rtt: p.raw.Rtt, minRTT: p.raw.Min_rtt, rate: p.raw.Delivery_rate, acked: p.raw.Bytes_acked, retrans: p.raw.Total_retrans}, p.err
}

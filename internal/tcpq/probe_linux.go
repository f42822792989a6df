package tcpq

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockProbe asks the kernel about one TCP connection.
type sockProbe struct {
	rc     syscall.RawConn
	raw    unix.TCPInfo
	err    error
	queued int32
	qf     func(uintptr)
	inf    func(uintptr)
	size   uint32
}

func newSockProbe(conn net.Conn) Probe {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	p := &sockProbe{rc: rc}
	p.qf = func(fd uintptr) {
		// Raw: it cannot block, and it is asked for each frame of each viewer.
		p.queued, p.err = 0, nil
		if _, _, e := unix.RawSyscall(unix.SYS_IOCTL, fd, unix.SIOCOUTQ, uintptr(unsafe.Pointer(&p.queued))); e != 0 {
			p.err = e
		}
	}
	p.inf = func(fd uintptr) {
		p.size = uint32(unsafe.Sizeof(p.raw))
		_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_INFO,
			uintptr(unsafe.Pointer(&p.raw)), uintptr(unsafe.Pointer(&p.size)), 0)
		p.err = nil
		if e != 0 {
			p.err = e
		}
	}
	if _, err := p.Queued(); err != nil {
		return nil
	}
	return p
}

// Queued is SIOCOUTQ, tcp(7).
func (p *sockProbe) Queued() (int, error) {
	if err := p.rc.Control(p.qf); err != nil {
		return 0, err
	}
	return int(p.queued), p.err
}

// Info is TCP_INFO; fields that an older kernel does not know are zero.
func (p *sockProbe) Info() (Info, error) {
	p.raw = unix.TCPInfo{}
	if err := p.rc.Control(p.inf); err != nil {
		return Info{}, err
	}
	return Info{RTT: p.raw.Rtt, MinRTT: p.raw.Min_rtt, Rate: p.raw.Delivery_rate, Acked: p.raw.Bytes_acked, Retrans: p.raw.Total_retrans, LastAck: p.raw.Last_ack_recv}, p.err
}

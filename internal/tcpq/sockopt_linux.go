package tcpq

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SetCongestion asks for a congestion control algorithm by name. EPERM means
// that the kernel has it but keeps it for root (tcp_allowed_congestion_control),
// ENOENT that it is not loaded.
func SetCongestion(conn net.Conn, name string) error {
	err := control(conn, func(fd int) error {
		return unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	})
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("congestion control %s is not allowed for this user (sysctl net.ipv4.tcp_allowed_congestion_control)", name)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("congestion control %s is not loaded (modprobe tcp_%s)", name, name)
	}
	return err
}

// Congestion is the algorithm in force, "" if the kernel does not tell.
func Congestion(conn net.Conn) string {
	var name string
	err := control(conn, func(fd int) (err error) {
		name, err = unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		return err
	})
	if err != nil {
		return ""
	}
	return name
}

// SetNotsentLowat bounds the bytes that the kernel takes beyond what it has sent
// (TCP_NOTSENT_LOWAT, tcp(7)); 0 = its default.
func SetNotsentLowat(conn net.Conn, n int) error {
	if n == 0 {
		n = -1 // the system's default: unlimited, unless a sysctl says otherwise
	}
	return control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
	})
}

// SetRTOMin sets the least time after which the kernel sends again what nobody
// acknowledged (TCP_RTO_MIN_US, Linux 6.15; elsewhere ENOPROTOOPT).
func SetRTOMin(conn net.Conn, d time.Duration) error {
	return control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_RTO_MIN_US, int(d.Microseconds()))
	})
}

func control(conn net.Conn, f func(fd int) error) error {
	sc, ok := inner(conn).(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := rc.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

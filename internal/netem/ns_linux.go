package netem

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Exec is a command that will run in a side's namespace.
func (l *Link) Exec(ctx context.Context, side Side, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.end(side).Namespace, name}, args...)...)
}

// Do calls f on a thread that is in a side's namespace and waits for it.
// Sockets that f opens stay there; goroutines that it starts do not.
func (l *Link) Do(side Side, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// A thread that could not return to its own namespace is thrown away, by
		// ending the goroutine without unlocking it.
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			result <- fmt.Errorf("netem: own namespace: %w", err)
			return
		}
		defer unix.Close(home)
		if err := enter(l.end(side).Namespace); err != nil {
			runtime.UnlockOSThread()
			result <- err
			return
		}
		err = f()
		if unix.Setns(home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

func enter(namespace string) error {
	path := filepath.Join("/run/netns", namespace)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("netem: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("netem: setns %s: %w", path, err)
	}
	return nil
}

// ListenIn listens in a side's namespace, at an address such as ":1308".
func (l *Link) ListenIn(side Side, network, address string) (ln net.Listener, err error) {
	err = l.Do(side, func() error {
		ln, err = net.Listen(network, address)
		return err
	})
	return ln, err
}

// DialIn connects from a side's namespace to a numeric address.
func (l *Link) DialIn(ctx context.Context, side Side, network, address string) (conn net.Conn, err error) {
	// A name would be resolved, and several addresses tried, on other threads.
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("netem: dial: %w", err)
	}
	err = l.Do(side, func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

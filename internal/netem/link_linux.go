package netem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Link is an emulated link between two namespaces. Run must be running for
// packets to pass. All methods may be called from any goroutine.
type Link struct {
	A, B End

	config Config
	tuns   [2]int // file descriptors of the devices, by side
	wake   [2]int // an eventfd for each direction, by source side, that ends its wait
	began  time.Time
	epoch  atomic.Int64 // nanoseconds since began of the first data; 0 = none yet
	late   atomic.Int64 // the greatest lateness in nanoseconds

	mu      sync.Mutex // guards stats
	stats   [2]PathStats
	running atomic.Bool
	threads [2]atomic.Int64 // of the pumps, by source side; 0 = not running
	next    [2]atomic.Pointer[Path]
	close   sync.Once
	closed  error
}

var linkNumber atomic.Int64

const namePrefix = "fpnetem-"

// New makes the namespaces and devices. Close removes them.
func New(c Config) (*Link, error) {
	for _, p := range []*Path{&c.AB, &c.BA} {
		if err := p.Validate(); err != nil {
			return nil, err
		}
	}
	if err := Possible(); err != nil {
		return nil, fmt.Errorf("link emulation is not possible here: %w", err)
	}
	removeLeftovers()
	l := &Link{config: c, tuns: [2]int{-1, -1}, wake: [2]int{-1, -1}, began: time.Now()}
	number := linkNumber.Add(1)
	for _, side := range []Side{A, B} {
		if err := l.make(side, number); err != nil {
			return nil, errors.Join(fmt.Errorf("link emulation: side %v: %w", side, err), l.Close())
		}
	}
	return l, nil
}

// Possible is nil where links can be made; else it names what this machine lacks.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root (network namespaces)")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("the program ip is missing (apt-get install iproute2)")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("no TUN devices: %w (modprobe tun; in a container: --device /dev/net/tun --cap-add NET_ADMIN)", err)
	}
	return nil
}

// removeLeftovers deletes namespaces of processes that no longer exist.
func removeLeftovers() {
	entries, _ := os.ReadDir("/run/netns")
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), namePrefix)
		pid, _, _ := strings.Cut(rest, "-")
		if _, err := strconv.Atoi(pid); !ours || err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			_ = ip("netns", "del", e.Name()) // another process may have been faster
		}
	}
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (l *Link) end(s Side) *End {
	if s == A {
		return &l.A
	}
	return &l.B
}

// make creates a side's namespace and moves a new device into it; the file
// descriptor of the device stays with us.
func (l *Link) make(side Side, number int64) error {
	e := l.end(side)
	suffix := fmt.Sprintf("%d-%s", number, strings.ToLower(side.String()))
	name := fmt.Sprintf("%s%d-%s", namePrefix, os.Getpid(), suffix)
	if err := ip("netns", "add", name); err != nil {
		return err
	}
	e.Namespace, e.Addr = name, addrs[side]

	var err error
	if l.wake[side], err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if l.tuns[side], e.Device, err = openTUN(); err != nil {
		return err
	}
	peer := addrs[side.other()].String() + "/32"
	for _, args := range [][]string{
		{"link", "set", e.Device, "netns", name},
		{"-n", name, "link", "set", "lo", "up"},
		{"-n", name, "link", "set", e.Device, "mtu", strconv.Itoa(mtu), "txqueuelen", strconv.Itoa(txQueueLen)},
		{"-n", name, "addr", "add", e.Addr.String(), "peer", peer, "dev", e.Device},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	// Before the device goes up, so that IPv6 never speaks. Without
	// tcp_no_metrics_save a connection would inherit the last one's ssthresh.
	err = l.Do(side, func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/tcp_no_metrics_save", []byte("1"), 0),
			ignoreMissing(os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)))
	})
	if err != nil {
		return err
	}
	return ip("-n", name, "link", "set", e.Device, "up")
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// openTUN makes a device; the kernel chooses its name.
func openTUN() (fd int, name string, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq("fpnetem%d")
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return -1, "", fmt.Errorf("TUNSETIFF: %w", err)
	}
	return fd, req.Name(), nil
}

// Close removes the namespaces and devices. Run must have returned.
func (l *Link) Close() error {
	l.close.Do(func() {
		if l.running.Load() {
			l.closed = errors.New("netem: Close while Run is running")
			return
		}
		var errs []error
		for _, side := range []Side{A, B} {
			for _, fd := range []int{l.tuns[side], l.wake[side]} {
				if fd >= 0 {
					errs = append(errs, unix.Close(fd))
				}
			}
			if name := l.end(side).Namespace; name != "" {
				errs = append(errs, ip("netns", "del", name))
			}
		}
		l.closed = errors.Join(errs...)
	})
	return l.closed
}

// Set changes the direction that begins at a side, from the next packet on; what is
// on its way arrives as it would have. Schedules go on counting from the first data.
func (l *Link) Set(from Side, p Path) error {
	if err := p.Validate(); err != nil {
		return err
	}
	l.next[from].Store(&p)
	return nil
}

// Stats is what happened so far.
func (l *Link) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{AB: l.stats[A], BA: l.stats[B], Lateness: time.Duration(l.late.Load())}
}

// CPU is the processor time that the running emulator's threads have used, the
// kernel's work on what they deliver included: what a measurement of a process
// that emulates its own link has to leave out. It fails before Run and after it,
// and on kernels without CONFIG_SCHED_INFO.
func (l *Link) CPU() (time.Duration, error) {
	var sum time.Duration
	for i := range l.threads {
		b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", l.threads[i].Load()))
		if err != nil {
			return 0, fmt.Errorf("netem: processor time: %w", err)
		}
		text, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("netem: processor time: %w", err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// Run carries packets until ctx ends, which is not an error. It may be called
// once.
func (l *Link) Run(ctx context.Context) error {
	if l.running.Swap(true) {
		return errors.New("netem: Run called twice")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, from := range []Side{A, B} {
		p := &pump{link: l, from: from, src: l.tuns[from], dst: l.tuns[from.other()], wake: l.wake[from]}
		p.server = newServer(*[]*Path{&l.config.AB, &l.config.BA}[from], l.config.Seed, uint64(from))
		wg.Go(func() { cancel(p.run(ctx)) })
	}
	// A pump that waits in the kernel has to be woken.
	<-ctx.Done()
	for _, fd := range l.wake {
		_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	wg.Wait()
	l.running.Store(false)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

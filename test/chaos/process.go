//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/test/standin"
)

// enterEnv has this program enter a namespace and become another one; see enter.
const enterEnv = "CHAOS_ENTER"

// Entering must happen on the process's first thread, which only init can keep.
func init() {
	if os.Getenv(enterEnv) != "" {
		runtime.LockOSThread()
	}
}

// beSomebodyElse makes this program what it was started as: a stand-in for
// rpicam-vid, or the way into a namespace. It returns if it is neither.
func beSomebodyElse() {
	if base := filepath.Base(os.Args[0]); strings.HasSuffix(base, "-vid") {
		standin.RPiCam(false)
		os.Exit(0)
	}
	if spec := os.Getenv(enterEnv); spec != "" {
		fmt.Fprintln(os.Stderr, "chaos: enter:", enter(spec))
		os.Exit(125)
	}
}

// enter moves this process into a network namespace, gives it a monotonic clock of
// its own, as another machine has, and becomes the program of its arguments: one
// process, so that signals reach whom they are meant for. time_namespaces(7).
func enter(spec string) error {
	netns, offset, _ := strings.Cut(spec, " ")
	fd, err := unix.Open(filepath.Join("/run/netns", netns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	if offset != "0" {
		if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
			return fmt.Errorf("unshare time: %w", err)
		}
		if err := os.WriteFile("/proc/self/timens_offsets", []byte("monotonic "+offset+" 0\n"), 0); err != nil {
			return err
		}
	}
	os.Unsetenv(enterEnv)
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// process is a running framepipe.
type process struct {
	what string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read after done

	out, log *os.File // what it writes, the latter to standard error
}

// listen gives the process files in memory to write to: what it has written can be read at
// once, by who has just been told otherwise that it did something. From a pipe it could
// come later.
func (p *process) listen() error {
	for _, f := range []**os.File{&p.out, &p.log} {
		fd, err := unix.MemfdCreate(p.what, unix.MFD_CLOEXEC)
		if err != nil {
			return err
		}
		*f = os.NewFile(uintptr(fd), p.what)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	return nil
}

// written reads without moving the place where the process writes.
func written(f *os.File) string {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	return string(b)
}

// start runs a program in a namespace, its monotonic clock ahead by offset seconds.
func start(what, netns string, offset int, env []string, argv ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{what: what, done: make(chan struct{})}
	p.cmd = exec.Command(self, argv...)
	p.cmd.Env = append(append(os.Environ(), env...), fmt.Sprintf("%s=%s %d", enterEnv, netns, offset))
	if err := p.listen(); err != nil {
		return nil, err
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) stdout() string { return written(p.out) }

func (p *process) stderr() string { return written(p.log) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	if p != nil && !p.ended() {
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // with its children
		<-p.done
	}
}

// stop ends it in order; took is how long that needed.
func (p *process) stop(patience time.Duration) (took time.Duration, err error) {
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	select {
	case <-p.done:
		if p.err != nil {
			return time.Since(began), fmt.Errorf("%s: %w", p.what, p.err)
		}
		return time.Since(began), nil
	case <-time.After(patience):
		return patience, fmt.Errorf("%s does not end within %v of SIGTERM", p.what, patience)
	}
}

// signal sends a signal to the process alone.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// files counts its open descriptors, from outside.
func (p *process) files() int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	return len(list)
}

// limitFiles sets its RLIMIT_NOFILE and returns what it was.
func (p *process) limitFiles(n uint64) (was uint64, err error) {
	var old unix.Rlimit
	if err := unix.Prlimit(p.pid(), unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return 0, err
	}
	now := unix.Rlimit{Cur: n, Max: old.Max}
	return old.Cur, unix.Prlimit(p.pid(), unix.RLIMIT_NOFILE, &now, nil)
}

// children lists its children's ids.
func (p *process) children() (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.pid()))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(b)) {
			var n int
			if _, err := fmt.Sscan(f, &n); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

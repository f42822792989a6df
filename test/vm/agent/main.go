//go:build linux

// Command agent is the init program of the test machines: it mounts what is needed,
// loads the kernel modules that the initramfs lists, and then runs programs that
// the host asks for over a serial line (see package bench). Where the machine has a
// system on a card, it hands over to that one's init, which starts it as a service.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/test/vm/bench"
)

func main() {
	a := &agent{procs: map[int]*os.Process{}}
	if err := a.boot(); err != nil {
		fmt.Println("agent:", err)
	}
	a.powerOff()
}

type agent struct {
	tty   *os.File
	wmu   sync.Mutex // one line at a time
	mu    sync.Mutex
	procs map[int]*os.Process // guarded by mu
}

func (a *agent) boot() error {
	if os.Getpid() != 1 { // a service of a system that has all this already
		return a.listen()
	}
	for _, m := range [][3]string{{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"devtmpfs", "/dev", "devtmpfs"}, {"tmpfs", "/tmp", "tmpfs"}} {
		if err := unix.Mount(m[0], m[1], m[2], 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	os.Setenv("PATH", "/bin")
	os.Setenv("HOME", "/tmp")
	loopback()
	if err := loadModules(); err != nil {
		return err
	}
	if card := parameter("agent.root"); card != "" {
		return handOver(card)
	}
	if _, err := os.Stat("/host"); err == nil {
		if err := unix.Mount("host", "/host", "9p", 0, "trans=virtio,version=9p2000.L,msize=262144"); err != nil {
			return fmt.Errorf("mount /host: %w", err)
		}
	}
	return a.listen()
}

// listen opens the line to the host and does what it asks for.
func (a *agent) listen() error {
	name := parameter("agent.tty")
	var err error
	if a.tty, err = os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return err
	}
	if err := raw(int(a.tty.Fd())); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// From here on the line may be shared with the console: keep it quiet.
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("1\n"), 0); err != nil {
		return err
	}
	var up float64
	b, _ := os.ReadFile("/proc/uptime")
	fmt.Sscan(string(b), &up)
	a.send(bench.Reply{Ready: true, Uptime: up})
	return a.serve()
}

// handOver makes the file system of a card the root and becomes its init. It
// returns only if it cannot. The initramfs, some megabytes, stays in memory.
func handOver(card string) error {
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { // drivers take their time
		if err = unix.Mount(card, "/root", "ext4", 0, ""); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", card, err)
	}
	for _, dir := range []string{"/dev", "/proc", "/sys"} {
		if err := unix.Mount(dir, "/root"+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	if err := unix.Chdir("/root"); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Exec("/sbin/init", []string{"/sbin/init"}, nil)
}

func parameter(name string) string {
	b, _ := os.ReadFile("/proc/cmdline")
	for _, w := range strings.Fields(string(b)) {
		if v, ok := strings.CutPrefix(w, name+"="); ok {
			return v
		}
	}
	return ""
}

// loadModules loads what /modules/list names, in order; each line is a file and
// its parameters.
func loadModules() error {
	list, err := os.ReadFile("/modules/list")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		name, params, _ := strings.Cut(line, " ")
		data, err := os.ReadFile("/modules/" + name)
		if err != nil {
			return err
		}
		if err := unix.InitModule(data, params); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

func loopback() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		fmt.Println("agent: lo:", err)
	}
}

func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CLOCAL | unix.CREAD
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (a *agent) send(r bench.Reply) {
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	a.wmu.Lock()
	defer a.wmu.Unlock()
	var line bytes.Buffer
	line.WriteString("\n" + bench.Mark)
	line.Write(b)
	line.WriteByte('\n')
	a.tty.Write(line.Bytes())
}

func (a *agent) serve() error {
	in := bufio.NewReaderSize(a.tty, 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		var r bench.Request
		if len(bytes.TrimSpace(line)) == 0 || json.Unmarshal(line, &r) != nil {
			continue
		}
		switch {
		case r.PowerOff:
			return nil
		case r.Kill != 0:
			a.mu.Lock()
			if p := a.procs[r.Kill]; p != nil {
				p.Kill()
			}
			a.mu.Unlock()
			a.send(bench.Reply{ID: r.ID, Done: true})
		case len(r.Argv) > 0:
			a.start(r)
		}
	}
}

// start begins a program, so that a request to kill it that follows finds it.
func (a *agent) start(r bench.Request) {
	cmd := exec.Command(r.Argv[0], r.Argv[1:]...)
	cmd.Env = append(os.Environ(), r.Env...)
	w := &forward{a: a, id: r.ID}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second // children that keep the pipe open are no reason to wait
	if err := cmd.Start(); err != nil {
		a.send(bench.Reply{ID: r.ID, Done: true, Code: 127, Err: err.Error()})
		return
	}
	a.mu.Lock()
	a.procs[r.ID] = cmd.Process
	a.mu.Unlock()
	go a.wait(r, cmd)
}

// wait reports a program's end.
func (a *agent) wait(r bench.Request, cmd *exec.Cmd) {
	if r.TimeoutSec > 0 {
		t := time.AfterFunc(time.Duration(r.TimeoutSec)*time.Second, func() { cmd.Process.Kill() })
		defer t.Stop()
	}
	cmd.Wait()
	a.mu.Lock()
	delete(a.procs, r.ID)
	a.mu.Unlock()
	a.send(bench.Reply{ID: r.ID, Done: true, Code: cmd.ProcessState.ExitCode()})
}

type forward struct {
	a  *agent
	id int
}

func (f *forward) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), 2048)
		f.a.send(bench.Reply{ID: f.id, Out: rest[:n]})
		rest = rest[n:]
	}
	return len(p), nil
}

func (a *agent) powerOff() {
	time.Sleep(50 * time.Millisecond) // let the serial line drain
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}

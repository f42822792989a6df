//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config says which machine to boot.
type Config struct {
	Arch    string            // "amd64", or "arm64" for an emulated Raspberry Pi 3B
	Modules []string          // kernel modules to load, dependencies come by themselves
	Params  map[string]string // module parameters by module
	Files   map[string]string // guest path -> host file, static programs mostly; /bin/agent must be among them
	Share   string            // host directory that appears as /host (amd64 only); empty = none
	Boot    time.Duration     // how long booting may take
	Card    string            // arm64: an SD card's image, an ext4 file system whose /sbin/init takes over; it has the agent as a service
	Web     string            // with Card: an address of this machine ("127.0.0.1:4711") that leads to port 8080 of 10.0.2.15 there, over USB; nothing leads out
}

// Machine is a running one.
type Machine struct {
	Uptime  time.Duration // the guest's own, when it became ready
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	dir     string
	console lockedBuffer
	exited  chan struct{}

	mu    sync.Mutex
	id    int              // guarded by mu
	procs map[int]*Process // guarded by mu
	ready chan float64
}

// Process is a program in the guest.
type Process struct {
	m    *Machine
	id   int
	done chan struct{}
	out  lockedBuffer
	code int
	err  string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Start boots a machine and waits until it answers.
func Start(ctx context.Context, cfg Config) (*Machine, error) {
	k, err := fetchKernel(cfg.Arch)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "framepipe-vm-")
	if err != nil {
		return nil, err
	}
	m := &Machine{dir: dir, exited: make(chan struct{}), procs: map[int]*Process{}, ready: make(chan float64, 1)}
	if err := m.boot(ctx, k, cfg); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Machine) boot(ctx context.Context, k *kernel, cfg Config) error {
	initrd := filepath.Join(m.dir, "initramfs")
	if err := writeInitramfs(initrd, k, cfg); err != nil {
		return err
	}
	args := m.amd64Args(k, cfg, initrd)
	program := "qemu-system-x86_64"
	if cfg.Arch == "arm64" {
		program, args = "qemu-system-aarch64", piArgs(k, cfg, initrd)
	}
	m.cmd = exec.Command(program, args...)
	// Its own group, so that Ctrl-C reaches only us; and no machine outlives its test.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	m.cmd.Stderr = &m.console
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig is about the thread that started the child: keep it.
		runtime.LockOSThread()
		err := m.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		m.read(stdout)
		m.cmd.Wait()
		m.lost()
		close(m.exited)
		runtime.UnlockOSThread()
	}()
	if err := <-started; err != nil {
		close(m.exited)
		return err
	}
	return m.up(ctx, cfg.Boot)
}

// up waits until the agent says that it is there.
func (m *Machine) up(ctx context.Context, boot time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, boot)
	defer cancel()
	select {
	case up := <-m.ready:
		m.Uptime = time.Duration(up * float64(time.Second))
		return nil
	case <-m.exited:
		return fmt.Errorf("%s ended while booting; console:\n%s", m.cmd.Path, m.Console())
	case <-ctx.Done():
		return fmt.Errorf("not up after %v; console:\n%s", boot, m.Console())
	}
}

// Reboot has a machine with a card restart as a service manager does it, and waits
// until it answers again.
func (m *Machine) Reboot(ctx context.Context, boot time.Duration) error {
	if _, err := m.Go("systemctl", "reboot"); err != nil {
		return err
	}
	return m.up(ctx, boot)
}

const quiet = "quiet panic=-1 reboot=t mitigations=off nokaslr random.trust_cpu=on audit=0"

func (m *Machine) amd64Args(k *kernel, cfg Config, initrd string) []string {
	a := []string{"-accel", "tcg,thread=multi,tb-size=256", "-M", "q35", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:" + filepath.Join(m.dir, "console"), "-serial", "stdio",
		"-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
		"-kernel", k.image, "-initrd", initrd,
		"-append", "console=ttyS0 agent.tty=ttyS1 nopti no_timer_check " + quiet}
	if cfg.Share != "" {
		a = append(a, "-fsdev", "local,id=host,security_model=none,path="+cfg.Share, "-device", "virtio-9p-pci,fsdev=host,mount_tag=host")
	}
	return a
}

// piArgs is a Raspberry Pi 3B: its mini UART is both console and command line.
func piArgs(k *kernel, cfg Config, initrd string) []string {
	dtb := filepath.Join(k.dir, "usr/lib/linux-image-"+k.version, "broadcom/bcm2837-rpi-3-b.dtb")
	a := []string{"-accel", "tcg,thread=multi", "-M", "raspi3b", "-m", "1024", "-smp", "4", "-display", "none",
		"-serial", "null", "-serial", "stdio", "-dtb", dtb, "-kernel", k.image, "-initrd", initrd}
	line := "console=ttyS1,115200 agent.tty=ttyS1 " + quiet
	if cfg.Card == "" {
		return append(a, "-no-reboot", "-append", line)
	}
	if cfg.Web != "" {
		a = append(a, "-netdev", "user,id=net,restrict=on,hostfwd=tcp:"+cfg.Web+"-10.0.2.15:8080", "-device", "usb-net,netdev=net")
	}
	return append(a, "-drive", "if=sd,format=raw,file="+cfg.Card, "-append", line+" agent.root=/dev/mmcblk0 systemd.show_status=no")
}

// read takes the agent's lines and the console's.
func (m *Machine) read(r io.Reader) {
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := in.ReadString('\n')
		if _, text, ok := strings.Cut(line, Mark); ok {
			var reply Reply
			if json.Unmarshal([]byte(text), &reply) == nil {
				m.handle(reply)
			}
		} else if strings.TrimSpace(line) != "" {
			io.WriteString(&m.console, line)
		}
		if err != nil {
			return
		}
	}
}

func (m *Machine) handle(r Reply) {
	if r.Ready {
		m.lost() // what ran before a reboot
		m.ready <- r.Uptime
		return
	}
	m.mu.Lock()
	p := m.procs[r.ID]
	if r.Done {
		delete(m.procs, r.ID)
	}
	m.mu.Unlock()
	if p == nil {
		return
	}
	p.out.Write(r.Out)
	if r.Done {
		p.code, p.err = r.Code, r.Err
		close(p.done)
	}
}

// lost ends what can no longer end by itself.
func (m *Machine) lost() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.procs {
		p.code, p.err = -1, "the machine stopped"
		close(p.done)
		delete(m.procs, id)
	}
}

func (m *Machine) request(r Request) (*Process, error) {
	m.mu.Lock()
	m.id++
	r.ID = m.id
	p := &Process{m: m, id: r.ID, done: make(chan struct{})}
	m.procs[r.ID] = p
	b, err := json.Marshal(r)
	if err == nil {
		_, err = m.stdin.Write(append(b, '\n'))
	}
	m.mu.Unlock()
	return p, err
}

// Go starts a program in the guest.
func (m *Machine) Go(argv ...string) (*Process, error) { return m.request(Request{Argv: argv}) }

// Run runs a program in the guest to its end, and returns its output and exit
// status.
func (m *Machine) Run(ctx context.Context, argv ...string) (string, int, error) {
	req := Request{Argv: argv}
	if d, ok := ctx.Deadline(); ok {
		req.TimeoutSec = max(1, int(time.Until(d).Seconds()))
	}
	p, err := m.request(req)
	if err != nil {
		return "", -1, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return p.out.String(), -1, ctx.Err()
	}
	if p.err != "" {
		return p.out.String(), p.code, errors.New(p.err)
	}
	return p.out.String(), p.code, nil
}

// Output is what the program has written so far.
func (p *Process) Output() string { return p.out.String() }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the program.
func (p *Process) Kill() error {
	_, err := p.m.request(Request{Kill: p.id})
	return err
}

// Console is what the kernel has written.
func (m *Machine) Console() string {
	b, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	return m.console.String() + string(b)
}

// Close powers the machine off.
func (m *Machine) Close() error {
	if m.cmd != nil && m.cmd.Process != nil {
		m.request(Request{PowerOff: true})
		select {
		case <-m.exited:
		case <-time.After(5 * time.Second):
			m.cmd.Process.Kill()
			<-m.exited
		}
	}
	return os.RemoveAll(m.dir)
}

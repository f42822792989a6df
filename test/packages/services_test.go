package packages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"framepipe/test/browser/drive"
)

// machine is a root that is booted, in a network namespace of its own.
type machine struct {
	*root
	net  string // the namespace's name
	done chan struct{}

	mu  sync.Mutex
	cmd *exec.Cmd    // guarded by mu but for its waiter
	log bytes.Buffer // guarded by mu
}

func (m *machine) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.Write(b)
}

func (r *root) boot() *machine {
	r.Helper()
	need(r.T, "ip", "iproute2")
	m := &machine{root: r, net: fmt.Sprintf("fppkg%d", os.Getpid()), done: make(chan struct{})}
	run(r.T, "ip", "netns", "add", m.net)
	r.Cleanup(func() { exec.Command("ip", "netns", "del", m.net).Run() })
	run(r.T, "ip", "-n", m.net, "link", "set", "lo", "up")
	m.begin()
	go func() {
		defer close(m.done)
		for m.cmd.Wait(); m.cmd.ProcessState.ExitCode() == rebooted; m.cmd.Wait() {
			m.begin()
		}
	}()
	r.Cleanup(m.powerOff)
	m.up("")
	return m
}

// rebooted is how systemd-nspawn ends when the machine asked for a reboot.
const rebooted = 133

func (m *machine) begin() {
	cmd := command("systemd-nspawn", "--quiet", "--directory="+m.dir, "--boot", "--register=no", "--keep-unit", "--console=pipe", "--hostname=clean",
		"--network-namespace-path=/run/netns/"+m.net)
	cmd.Stdout, cmd.Stderr = m, m
	if err := cmd.Start(); err != nil {
		m.Error(err)
	}
	m.mu.Lock()
	m.cmd = cmd
	m.mu.Unlock()
}

// running is the process of the machine.
func (m *machine) running() *os.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cmd.Process
}

// powerOff ends the machine, and its processes with it.
func (m *machine) powerOff() {
	if pid := m.pid(); pid != "" {
		exec.Command("nsenter", "-a", "-t", pid, "systemctl", "poweroff").Run()
	}
	select {
	case <-m.done:
	case <-time.After(20 * time.Second):
		m.running().Kill()
		<-m.done
	}
	if m.Failed() {
		m.mu.Lock()
		m.Logf("the machine's console:\n%s", m.log.String())
		m.mu.Unlock()
	}
}

// pid is that of the machine's init here; "" while it has none.
func (m *machine) pid() string {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", m.running().Pid))
	for _, pid := range strings.Fields(string(children)) {
		if exe, _ := os.Readlink("/proc/" + pid + "/exe"); strings.HasSuffix(exe, "/systemd") {
			return pid
		}
	}
	return ""
}

// up waits until the machine has booted as another process than before, and
// returns which.
func (m *machine) up(before string) string {
	m.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if pid := m.pid(); pid != "" && pid != before {
			out, _ := m.try("systemctl", "is-system-running")
			if s := strings.TrimSpace(out); s == "running" || s == "degraded" {
				return pid
			}
		}
	}
	m.Fatal("it does not boot")
	return ""
}

func (m *machine) try(name string, args ...string) (string, error) {
	out, err := command("nsenter", append([]string{"-a", "-t", m.pid(), name}, args...)...).CombinedOutput()
	return string(out), err
}

// do runs a command in the machine that must succeed.
func (m *machine) do(name string, args ...string) string {
	m.Helper()
	out, err := m.try(name, args...)
	if err != nil {
		m.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// picture waits for one over HTTP, as a viewer in the machine's network.
func (m *machine) picture(what, camera string) {
	m.Helper()
	file := filepath.Join(m.TempDir(), "picture.jpg")
	var out []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var err error
		if out, err = exec.Command("ip", "netns", "exec", m.net, "curl", "-sS", "-f", "-m", "15", "-o", file, "http://127.0.0.1:8080/cameras/"+camera+"/snapshot").CombinedOutput(); err != nil {
			continue
		}
		if b, err := os.ReadFile(file); err == nil && bytes.HasPrefix(b, []byte{0xff, 0xd8}) && bytes.HasSuffix(b, []byte{0xff, 0xd9}) {
			return
		}
	}
	status, _ := m.try("sh", "-c", "systemctl status 'framepipe*'; journalctl --no-pager -n 50 -u 'framepipe*'")
	m.Fatalf("%s: no picture of %s: %s\n%s", what, camera, out, status)
}

// shown looks at the page of the machine's receiver with a browser in its network: it
// draws the synthetic camera's frames, newer and newer ones, as their numbers in
// screenshots say, and counts what it displays.
func (m *machine) shown(browser context.Context, what string) *drive.Tab {
	m.Helper()
	p := drive.Open(m.T, browser, "http://127.0.0.1:8080/#/door", 1280, 800)
	m.draws(p, what)
	return p
}

func (m *machine) draws(p *drive.Tab, what string) {
	m.Helper()
	p.Until(what+": the picture", `document.querySelector("main.one .screen:not(.waiting) canvas")`)
	n := p.Advances()
	p.Until(what+": its own count", `[...document.querySelectorAll(".figures dt")].some((d) => d.textContent === "displayed" && parseFloat(d.nextElementSibling.textContent) > 1)`)
	m.Logf("%s: the page shows frame %d of %s", what, n, drive.Eval[string](p, `document.querySelector(".screen canvas").getAttribute("aria-label")`))
	p.Shot(what)
}

// services runs the units under a real systemd: a synthetic camera and one behind
// a stand-in for rpicam-vid send to the receiver of the same machine.
func (r *root) services(older, newer string) {
	r.Helper()
	need(r.T, "curl", "curl")
	need(r.T, "nsenter", "util-linux")
	rpicam := filepath.Join(r.TempDir(), "rpicam-vid") // the tests of our camera stand in for it under this name
	cmd := exec.Command("go", "test", "-c", "-o", rpicam, "../../capture/rpicam")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("%v\n%s", err, out)
	}
	r.copy(rpicam, "/usr/bin/rpicam-vid")
	m := r.boot()
	r.copy(older, "/srv/older.deb") // /tmp is the machine's own
	r.copy(newer, "/srv/newer.deb")
	m.do("dpkg", "-i", "/srv/older.deb")
	if out, err := m.try("systemctl", "is-enabled", "framepipe-receive"); err == nil {
		m.Errorf("installing enabled the receiver: %s", out)
	}
	r.write("/etc/default/framepipe-send-test", []byte("SOURCE=pattern\nFRAMEPIPE_SEND_NAME=door\nFRAMEPIPE_SEND_FPS=10\n"))
	r.write("/etc/default/framepipe-send-rpicam0", []byte("FRAMEPIPE_SEND_NAME=roof\n"))
	m.do("systemctl", "enable", "--now", "framepipe-receive", "framepipe-send@test", "framepipe-send-rpicam@0")
	m.picture("installed", "door")
	m.picture("installed", "roof")
	m.exposure()
	m.managed()

	browser := drive.Chromium(r.T, drive.In(m.net))
	open := m.shown(browser, "installed")
	open.Allowed("") // it will have reason to complain: at first nobody answers, then not all is there yet
	was := m.pid()
	m.do("systemctl", "reboot")
	m.up(was)
	m.picture("rebooted", "door")
	m.picture("rebooted", "roof")
	m.draws(open, "rebooted-page-left-open")
	open.Close()
	m.shown(browser, "rebooted").Close()

	before := m.mainPID("framepipe-receive")
	m.do("dpkg", "-i", "/srv/newer.deb")
	m.picture("upgraded", "door")
	if now := m.mainPID("framepipe-receive"); now == before {
		m.Error("the upgrade did not restart the receiver")
	}
	if out := m.do("/usr/bin/framepipe", "version"); !strings.Contains(out, "0.2.0") {
		m.Errorf("version %s", out)
	}

	m.do("dpkg", "-P", "framepipe")
	for _, unit := range []string{"framepipe-receive", "framepipe-send@test", "framepipe-send-rpicam@0"} {
		if out, err := m.try("systemctl", "is-active", unit); err == nil {
			m.Errorf("%s is %s after the package was purged", unit, strings.TrimSpace(out))
		}
	}
	if out, _ := exec.Command("ip", "netns", "exec", m.net, "ss", "-Hltn").Output(); len(out) > 0 {
		m.Errorf("something still listens:\n%s", out)
	}
}

func (m *machine) mainPID(unit string) string {
	m.Helper()
	return m.do("systemctl", "show", "-p", "MainPID", "--value", unit)
}

// exposure holds the units against systemd's own judgement: 0 is a program that
// can do nothing, 10 one that can do everything.
func (m *machine) exposure() {
	m.Helper()
	for _, unit := range []string{"framepipe-receive.service", "framepipe-send@test.service", "framepipe-send-rpicam@0.service"} {
		out := m.do("systemd-analyze", "security", "--no-pager", unit)
		found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
		if found == nil {
			m.Errorf("%s: %s", unit, out)
			continue
		}
		if level, _ := strconv.ParseFloat(found[1], 64); level > 2 {
			m.Errorf("%s: exposure %s, want at most 2\n%s", unit, found[1], out)
		} else {
			m.Logf("%s: exposure %s", unit, found[1])
		}
	}
}

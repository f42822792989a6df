package packages

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// managed holds our side of the agreement with systemd against a real one: a unit is
// active once it is ready and not before, its status is shown, it is restarted when
// it carries nothing, it ends in order, and it runs as nobody else.
func (m *machine) managed() {
	m.Helper()
	began := time.Now()
	defer func() { m.Logf("with systemd for %v", time.Since(began).Round(time.Second)) }()
	// A camera that takes its time to start.
	m.write("/srv/late-vid", []byte("#!/bin/sh\nwhile [ ! -e /srv/go ]; do sleep 0.1; done\nexec /usr/bin/rpicam-vid \"$@\"\n"))
	m.write("/etc/default/framepipe-send-rpicam1", []byte("FRAMEPIPE_RPICAM=/srv/late-vid\nSOURCE=rpicam:0\nFRAMEPIPE_SEND_NAME=late\n"))
	m.do("systemctl", "start", "--no-block", "framepipe-send-rpicam@1")
	m.becomes("framepipe-send-rpicam@1", "ActiveState", "activating")
	time.Sleep(time.Second) // others are ready in a fraction of it
	if s := m.show("framepipe-send-rpicam@1", "ActiveState"); s != "activating" {
		m.Errorf("without a camera the unit is %s", s)
	}
	m.write("/srv/go", nil)
	m.becomes("framepipe-send-rpicam@1", "ActiveState", "active")
	m.picture("the camera has started", "late")
	m.do("systemctl", "stop", "framepipe-send-rpicam@1")

	// Once systemctl says that the receiver is up, it answers.
	m.do("systemctl", "restart", "framepipe-receive")
	if out, err := exec.Command("ip", "netns", "exec", m.net, "curl", "-sS", "-f", "-m", "15", "http://127.0.0.1:8080/healthz").CombinedOutput(); err != nil {
		m.Errorf("the receiver is active, and does not answer: %v: %s", err, out)
	}
	m.picture("the receiver is back", "door")
	// In the sandbox too, what was measured before is kept: at least the record that was open.
	if out, err := exec.Command("ip", "netns", "exec", m.net, "curl", "-sS", "-f", "-m", "15", "http://127.0.0.1:8080/cameras/door/records").CombinedOutput(); err != nil || !strings.Contains(string(out), `"run": "`) {
		m.Errorf("no record of before the restart: %v: %s", err, out)
	}

	m.named()
	m.sandboxed("framepipe-receive", "framepipe-send@test", "framepipe-send-rpicam@0")
	m.watched()
	m.endsInOrder("framepipe-send@test", "framepipe-receive")
	m.do("systemctl", "start", "framepipe-receive", "framepipe-send@test")
	m.picture("started again", "door")
}

// named: a camera that is to find a receiver by its name, which is not there yet, is
// active and searches, whatever else there is. The network is one of both ends here.
func (m *machine) named() {
	m.Helper()
	for _, c := range []string{"link add lan0 type veth peer name lan1", "addr add 10.79.0.1/24 dev lan0", "link set lan0 up", "link set lan1 up"} {
		run(m.T, "ip", append([]string{"-n", m.net}, strings.Fields(c)...)...)
	}
	m.write("/etc/default/framepipe-send-named", []byte("SOURCE=pattern\nRECEIVER=--receiver workshop\nFRAMEPIPE_SEND_NAME=gate\nFRAMEPIPE_SEND_FPS=10\n"))
	m.do("systemctl", "start", "framepipe-send@named")
	if s := m.show("framepipe-send@named", "ActiveState"); s != "active" {
		m.Errorf("without its receiver the unit is %s", s)
	}
	m.do("sh", "-c", "mkdir -p /run/systemd/system/framepipe-receive.service.d && printf '[Service]\\nEnvironment=FRAMEPIPE_RECEIVE_ANNOUNCE=workshop\\n' >/run/systemd/system/framepipe-receive.service.d/name.conf && systemctl daemon-reload")
	m.do("systemctl", "restart", "framepipe-receive")
	m.picture("found by its name, later", "gate")
	out, _ := m.try("journalctl", "--no-pager", "-u", "framepipe-send@named")
	if n := m.show("framepipe-send@named", "NRestarts"); n != "0" || !strings.Contains(out, `no receiver "workshop" answered within 2s: searching on`) {
		m.Errorf("it was restarted %s times, and said\n%s", n, out)
	}
	m.do("systemctl", "stop", "framepipe-send@named")
	run(m.T, "ip", "-n", m.net, "link", "del", "lan0")
}

func (m *machine) show(unit, property string) string {
	m.Helper()
	return strings.TrimSpace(m.do("systemctl", "show", "-p", property, "--value", unit))
}

func (m *machine) becomes(unit, property, want string) {
	m.Helper()
	got := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = m.show(unit, property); got == want {
			return
		}
	}
	m.Fatalf("%s of %s is %s, want %s", property, unit, got, want)
}

// sandboxed looks at what the kernel says of the running processes.
func (m *machine) sandboxed(units ...string) {
	m.Helper()
	uid := strings.TrimSpace(m.do("id", "-u", "framepipe"))
	for _, unit := range units {
		status := m.do("cat", "/proc/"+m.show(unit, "MainPID")+"/status")
		for what, want := range map[string]string{"Uid": uid, "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"} {
			got := regexp.MustCompile(`(?m)^` + what + `:\s+(\S+)`).FindStringSubmatch(status)
			if got == nil || got[1] != want {
				m.Errorf("%s: %s is %v, want %s", unit, what, got, want)
			}
		}
	}
}

// tells: what the status line would say on a terminal.
func (m *machine) tells() {
	m.Helper()
	for unit, want := range map[string]string{"framepipe-receive": `Status: "[^"]*door: .*fps`, "framepipe-send@test": `Status: "[^"]*\d`} {
		re := regexp.MustCompile(want)
		var out string
		for end := time.Now().Add(patience); !re.MatchString(out) && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			out = m.do("systemctl", "status", "--no-pager", "--full", unit)
		}
		if !re.MatchString(out) {
			m.Errorf("no status like %s:\n%s", want, out)
		}
	}
}

// watched: a sender that hangs, and one whose camera hangs, are started anew; one whose
// frames come is left alone meanwhile. WatchdogSec is 60 in the units, shorter here.
func (m *machine) watched() {
	m.Helper()
	if s := m.show("framepipe-send@test", "WatchdogUSec"); s != "1min" {
		m.Errorf("WatchdogSec is %s", s)
	}
	for _, unit := range []string{"framepipe-send@test.service", "framepipe-send-rpicam@0.service", "framepipe-receive.service"} {
		m.do("mkdir", "-p", "/run/systemd/system/"+unit+".d")
		m.do("sh", "-c", "printf '[Service]\\nWatchdogSec=4\\n' >/run/systemd/system/"+unit+".d/short.conf")
	}
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "restart", "framepipe-receive", "framepipe-send@test", "framepipe-send-rpicam@0")
	m.picture("watched", "door")
	m.picture("watched", "roof")
	m.tells()
	before := map[string]int{}
	for _, unit := range []string{"framepipe-send@test", "framepipe-send-rpicam@0", "framepipe-receive"} {
		before[unit], _ = strconv.Atoi(m.show(unit, "NRestarts"))
	}
	receiver := m.mainPID("framepipe-receive")
	m.do("sh", "-c", "kill -STOP "+m.show("framepipe-send@test", "MainPID"))
	camera := strings.Fields(m.do("sh", "-c", "cat /proc/"+m.show("framepipe-send-rpicam@0", "MainPID")+"/task/*/children"))
	if len(camera) == 0 {
		m.Fatal("there is no rpicam-vid")
	}
	m.do("sh", "-c", "kill -STOP "+strings.Join(camera, " "))
	for _, unit := range []string{"framepipe-send@test", "framepipe-send-rpicam@0"} {
		n := 0
		for end := time.Now().Add(patience); n <= before[unit] && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			n, _ = strconv.Atoi(m.show(unit, "NRestarts"))
		}
		if out, _ := m.try("journalctl", "--no-pager", "-u", unit); n <= before[unit] || !strings.Contains(out, "Watchdog timeout") {
			m.Errorf("%s carries nothing, and was restarted %d times\n%s", unit, n-before[unit], out)
		}
	}
	m.picture("started anew by the watchdog", "door")
	m.picture("started anew by the watchdog", "roof")
	if m.mainPID("framepipe-receive") != receiver {
		m.Error("the receiver, which did nothing wrong, was restarted")
	}
	m.do("rm", "-r", "/run/systemd/system/framepipe-send@test.service.d", "/run/systemd/system/framepipe-send-rpicam@0.service.d", "/run/systemd/system/framepipe-receive.service.d")
	m.do("systemctl", "daemon-reload")
}

// endsInOrder stops units, which must end by themselves and say that all went well.
func (m *machine) endsInOrder(units ...string) {
	m.Helper()
	for _, unit := range units {
		began := time.Now()
		m.do("systemctl", "stop", unit)
		m.Logf("%s stopped within %v", unit, time.Since(began).Round(time.Millisecond))
		for property, want := range map[string]string{"Result": "success", "ExecMainCode": "1", "ExecMainStatus": "0"} { // 1 is CLD_EXITED
			if got := m.show(unit, property); got != want {
				m.Errorf("%s: %s is %s, want %s", unit, property, got, want)
			}
		}
	}
}

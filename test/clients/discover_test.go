package clients

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"framepipe/test/certs"
)

// lan is a network of three machines: namespaces on one bridge.
type lan struct {
	*testing.T
	prefix string
}

// newLAN makes machines a, b and c. Nothing leads out of it.
func newLAN(t *testing.T) *lan {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs Linux and root (network namespaces)")
	}
	need(t, "ip", "iproute2")
	l := &lan{t, fmt.Sprintf("fplan%d-", os.Getpid())}
	l.machine("bridge")
	l.ip("bridge", "link", "add", "br0", "type", "bridge")
	l.ip("bridge", "link", "set", "br0", "up")
	for _, m := range []string{"a", "b", "c"} {
		l.machine(m)
		l.ip("bridge", "link", "add", "to-"+m, "type", "veth", "peer", "name", "eth0", "netns", l.prefix+m)
		l.ip("bridge", "link", "set", "to-"+m, "master", "br0", "up")
		l.ip(m, "link", "set", "lo", "up")
		l.ip(m, "link", "set", "eth0", "up")
	}
	return l
}

func (l *lan) machine(name string) {
	l.Helper()
	run(l.T, "ip", "netns", "add", l.prefix+name)
	l.Cleanup(func() { exec.Command("ip", "netns", "del", l.prefix+name).Run() })
}

func (l *lan) ip(machine string, args ...string) {
	l.Helper()
	run(l.T, "ip", append([]string{"-n", l.prefix + machine}, args...)...)
}

func (l *lan) command(machine, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", l.prefix + machine, name}, args...)...)
}

func (l *lan) start(machine string, args ...string) *program {
	l.Helper()
	return launched(l.T, l.command(machine, binary, args...))
}

// receivers is what devices --network lists.
func (l *lan) receivers(machine string) map[string]map[string]any {
	l.Helper()
	out, err := l.command(machine, binary, "devices", "--network", "--json").CombinedOutput()
	var all []map[string]any
	if err == nil {
		err = json.Unmarshal(out, &all)
	}
	if err != nil {
		l.Fatalf("%v\n%s", err, out)
	}
	found := map[string]map[string]any{}
	for _, r := range all {
		found[r["name"].(string)] = r
	}
	return found
}

// awaits waits until a machine finds exactly these.
func (l *lan) awaits(machine string, names ...string) map[string]map[string]any {
	l.Helper()
	var found map[string]map[string]any
	for end := time.Now().Add(patience); time.Now().Before(end); {
		found = l.receivers(machine)
		if len(found) == len(names) && !slices.ContainsFunc(names, func(n string) bool { return found[n] == nil }) {
			return found
		}
	}
	l.Fatalf("%s finds %v, want %v", machine, found, names)
	return nil
}

func (l *lan) fails(machine string, args ...string) string {
	l.Helper()
	out, err := l.command(machine, binary, args...).CombinedOutput()
	if err == nil {
		l.Errorf("%v did not fail: %s", args, out)
	}
	return string(out)
}

// Machines that know nothing of each other: a camera finds the receiver, follows
// it to another address, chooses between two, and reads what a receiver tells.
func TestReceiversAreFound(t *testing.T) {
	l := newLAN(t)
	for i, m := range []string{"a", "b", "c"} {
		l.ip(m, "addr", "add", fmt.Sprintf("10.77.0.%d/24", i+1), "dev", "eth0")
	}
	hidden := l.start("c", "receive", "--listen", ":1400", "--http", "", "--announce", "")
	alone := l.start("c", "receive", "--listen", "127.0.0.1:1401", "--http", "", "--announce", "alone")
	for _, p := range []*program{hidden, alone} {
		p.says("waiting for cameras")
	}
	watch := l.zeroconf("b")
	studio := l.start("a", "receive", "--http", ":8080", "--announce", "studio one")
	studio.says("the page is at")
	r := l.awaits("b", "studio one")["studio one"]
	if r["port"] != 1308.0 || r["token"] != false || r["page"] != "http://10.77.0.1:8080/" || !strings.Contains(fmt.Sprint(r["addresses"]), "10.77.0.1") {
		t.Errorf("it tells %v", r)
	}
	watch.says(`add studio one\._framepipe\._tcp\.local\. \['10\.77\.0\.1'.* 1308`)

	door := l.start("b", "send", "--source", "pattern", "-W", "160", "-H", "120", "--name", "door")
	door.says(`no address given: found the receiver studio one at 10\.77\.0\.1:1308`)
	studio.says(`camera connected: camera door`)
	for end := time.Now().Add(patience); fmt.Sprint(l.receivers("b")["studio one"]["cameras"]) != "[door]"; {
		if time.Now().After(end) {
			t.Fatalf("its cameras: %v", l.receivers("b")["studio one"])
		}
	}

	l.ip("a", "addr", "add", "10.77.0.9/24", "dev", "eth0") // as another lease of DHCP
	l.ip("a", "addr", "del", "10.77.0.1/24", "dev", "eth0")
	l.ip("a", "addr", "add", "10.77.0.9/24", "dev", "eth0") // a secondary address goes with the first
	studio.says(`(?s)camera connected: camera door.*(camera connected: camera door|replaced by a newer connection)`)

	other := l.start("c", "receive", "--http", "", "--announce", "cellar", "--token", "a-token-of-twenty-letters", "--state", t.TempDir())
	other.says("waiting for cameras")
	r = l.awaits("b", "cellar", "studio one")["cellar"]
	if r["token"] != true || r["cameras"] != nil || r["page"] != nil {
		t.Errorf("with a token it tells %v", r)
	}
	if out := l.fails("b", "send", "--source", "pattern"); !strings.Contains(out, "there are 2 receivers: cellar at 10.77.0.3:1308 (asks for a token), studio one at") || !strings.Contains(out, "--receiver cellar") {
		t.Errorf("two receivers: %s", out)
	}
	l.chosen()
	if out := l.fails("b", "send", "--source", "pattern", "--receiver", "cellar"); !strings.Contains(out, "lets in only who knows its token") {
		t.Errorf("no token: %s", out)
	}
	ca := certs.New(t, t.TempDir())
	ca.Server("attic", net.IPv4(10, 77, 0, 3))
	ca.Client("gable")
	attic := l.start("b", "send", "--source", "pattern", "-W", "160", "-H", "120", "--name", "gable", "--receiver", "attic",
		"--tls-ca", ca.File("ca.pem"), "--tls-cert", ca.File("gable.pem"), "--tls-key", ca.File("gable.key"))
	attic.says(`no receiver "attic" answered within 2s: searching on.*there is .*studio one at`)
	if out := l.fails("b", "send", "--source", "pattern", "--receiver", "nobody", "--connect-retry", "1s"); !strings.Contains(out, `error: no connection to nobody within 1s: no receiver "nobody" answers on the local network`) {
		t.Errorf("no such receiver: %s", out)
	}
	l.start("b", "send", "--source", "pattern", "--receiver", "cellar", "--token", "a-token-of-twenty-letters", "--name", "roof").says("connected")
	other.says(`camera connected: camera roof`)

	// The one that is named comes at last: it is found and, by its certificate, known.
	late := l.start("c", "receive", "--listen", ":1402", "--http", "", "--announce", "attic", "--tls-cert", ca.File("attic.pem"), "--tls-key", ca.File("attic.key"), "--tls-client-ca", ca.File("ca.pem"))
	attic.says(`found the receiver attic at 10\.77\.0\.3:1402`)
	late.says(`camera connected: camera gable`)

	door.stop()
	studio.stop()
	watch.says(`remove studio one\._framepipe`)
}

// chosen has somebody at a terminal choose the second of two receivers.
func (l *lan) chosen() {
	l.Helper()
	cmd := l.command("b", "sh", "-c", "exec script -qefc '"+binary+" send --source pattern -W 160 -H 120 --name asked' /dev/null >&2")
	in, err := cmd.StdinPipe()
	if err != nil {
		l.Fatal(err)
	}
	defer in.Close()
	p := launched(l.T, cmd)
	p.says(`1  cellar at(?s).*2  studio one at`)
	fmt.Fprintln(in, "7")
	p.says(`which receiver\? \[1–2\] (?s).*7`) // the terminal shows it, too
	fmt.Fprintln(in, "2")
	p.says(`found the receiver studio one(?s).*connected: receiver`)
	fmt.Fprint(in, "\x03") // Ctrl-C
	p.stop()
}

// The same where there is only IPv6, and no router: link-local addresses.
func TestReceiversAreFoundByIPv6(t *testing.T) {
	l := newLAN(t)
	early := l.start("b", "send", "--source", "pattern", "-W", "160", "-H", "120", "--name", "early")
	early.says("no receiver answered on the local network.*and searching on")
	cellar := l.start("a", "receive", "--http", ":8080", "--announce", "cellar")
	cellar.says("the page is at")
	early.says(`(?s)found the receiver cellar at \[fe80::.*connected: receiver \[fe80::`) // who was there before it
	cellar.says(`camera connected: camera early`)
	r := l.awaits("b", "cellar")["cellar"]
	if a := fmt.Sprint(r["addresses"]); !strings.Contains(a, "fe80::") || !strings.Contains(a, "%eth0") || r["page"] != nil {
		t.Errorf("it tells %v", r)
	}
	l.start("b", "send", "--source", "pattern", "-W", "160", "-H", "120", "--name", "door", "--receiver", "cellar").says(`found the receiver cellar at \[fe80::`)
	cellar.says(`camera connected: camera door`)
}

// zeroconf has another program look, one that keeps what it saw: python-zeroconf.
func (l *lan) zeroconf(machine string) *program {
	l.Helper()
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import zeroconf").Run() != nil {
		l.Skip("needs python-zeroconf (apt-get install python3-zeroconf)")
	}
	script := filepath.Join(l.TempDir(), "look.py")
	if err := os.WriteFile(script, []byte(`import sys, threading, zeroconf
def say(*args): print(*args, file=sys.stderr, flush=True)
class Listener:
    def add_service(self, zc, kind, name):
        i = zc.get_service_info(kind, name)
        say("add", name, i and i.parsed_addresses(), i and i.port)
    def update_service(self, zc, kind, name): pass
    def remove_service(self, zc, kind, name): say("remove", name)
zc = zeroconf.Zeroconf(ip_version=zeroconf.IPVersion.V4Only)
zeroconf.ServiceBrowser(zc, "_framepipe._tcp.local.", Listener())
say("looking")
try: threading.Event().wait()
except KeyboardInterrupt: pass
`), 0o666); err != nil {
		l.Fatal(err)
	}
	p := launched(l.T, l.command(machine, python, script))
	p.says("looking")
	return p
}

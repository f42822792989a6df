//go:build linux

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/cpu"
)

// manager is what a service manager hears on its notification socket.
type manager struct {
	conn *net.UnixConn
	path string

	mu    sync.Mutex
	heard []string // guarded by mu; VARIABLE=value lines
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{conn: conn, path: path}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.heard = append(m.heard, strings.Split(string(b[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *manager) count(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.heard {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

func (m *manager) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string{}, m.heard...)
}

func eventually(t *testing.T, what string, ok func() bool, said func() string) {
	t.Helper()
	for end := time.Now().Add(3 * patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s; it says:\n%s", what, said())
}

// launch runs the program in this namespace, as a service if there is a manager.
func launch(t *testing.T, m *manager, watchdog string, args ...string) *process {
	t.Helper()
	p := &process{what: args[0], done: make(chan struct{}), cmd: exec.Command(program, args...)}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = os.Environ()
	if m != nil {
		p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC="+watchdog)
	}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// A service manager hears that both sides are ready, how they are, that they stop;
// and from each, that it is alive, only while frames come through or nobody is there.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	cam := &camera{network: func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }}
	if err := cam.plug(320, 240); err != nil {
		t.Fatal(err)
	}
	defer cam.away()

	const watchdog = "2000000" // 2 s: after one second without frames nothing more is said
	ofRecv, ofSend := newManager(t), newManager(t)
	recv := launch(t, ofRecv, watchdog, "receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	eventually(t, "READY of receive", func() bool { return ofRecv.count("READY=1") == 1 }, recv.stderr)
	addr := regexp.MustCompile(`waiting for cameras on (\S+)`).FindStringSubmatch(recv.stderr())
	if addr == nil {
		t.Fatalf("it is ready before it listens: %s", recv.stderr())
	}
	eventually(t, "WATCHDOG of a receiver that waits", func() bool { return ofRecv.count("WATCHDOG=1") >= 4 }, recv.stderr)

	send := launch(t, ofSend, watchdog, "send", "--name", "door", "--source", "http://"+cam.addr+"/", addr[1])
	eventually(t, "READY of send", func() bool { return ofSend.count("READY=1") == 1 }, send.stderr)
	for _, m := range []*manager{ofRecv, ofSend} {
		had := m.count("WATCHDOG=1")
		eventually(t, "WATCHDOG while frames come", func() bool { return m.count("WATCHDOG=1") >= had+6 }, recv.stderr)
	}
	eventually(t, "STATUS", func() bool { return ofRecv.count("STATUS=door: ") > 0 && ofSend.count("STATUS=") > 1 }, recv.stderr)

	// The camera is there, and gives nothing: restarting the sender may help.
	cam.silent.Store(true)
	quiet := func(m *manager) {
		t.Helper()
		for end := time.Now().Add(patience); ; {
			had := m.count("WATCHDOG=1")
			time.Sleep(2 * time.Second)
			if m.count("WATCHDOG=1") == had {
				return
			}
			if time.Now().After(end) {
				t.Fatal("it is said to be alive, and carries nothing")
			}
		}
	}
	quiet(ofSend)
	had := ofRecv.count("WATCHDOG=1")
	eventually(t, "WATCHDOG of a receiver whose camera has nothing to give", func() bool { return ofRecv.count("WATCHDOG=1") >= had+4 }, recv.stderr)
	cam.silent.Store(false)
	had = ofSend.count("WATCHDOG=1")
	eventually(t, "WATCHDOG of a sender that goes on", func() bool { return ofSend.count("WATCHDOG=1") >= had+4 }, send.stderr)

	// The receiver hangs. What is acknowledged counts, not what is captured.
	recv.signal(syscall.SIGSTOP)
	quiet(ofSend)
	recv.signal(syscall.SIGCONT)
	had = ofSend.count("WATCHDOG=1")
	eventually(t, "WATCHDOG with the receiver back", func() bool { return ofSend.count("WATCHDOG=1") >= had+4 }, send.stderr)

	// The receiver is gone: that is no fault of the sender's.
	if _, err := recv.stop(stopWithin); err != nil {
		t.Errorf("%v: %s", err, recv.stderr())
	}
	had = ofSend.count("WATCHDOG=1")
	eventually(t, "WATCHDOG of a sender without receiver", func() bool { return ofSend.count("WATCHDOG=1") >= had+8 }, send.stderr)
	if _, err := send.stop(stopWithin); err != nil {
		t.Errorf("%v: %s", err, send.stderr())
	}
	for _, m := range []*manager{ofRecv, ofSend} {
		eventually(t, "STOPPING", func() bool { return m.count("STOPPING=1") == 1 }, recv.stderr)
		for _, l := range m.all() {
			if k, v, ok := strings.Cut(l, "="); !ok || v == "" || !strings.Contains(" READY STATUS WATCHDOG STOPPING ", " "+k+" ") {
				t.Errorf("it says %q", l)
			}
		}
	}
}

// Exit statuses, as docs/reliability.md lists them.
func TestExitStatus(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the subtests, which are parallel
	for name, tc := range map[string]struct {
		args []string
		want int
	}{
		"in order":            {[]string{"receive", "--listen", "127.0.0.1:0", "--http", "", "--for", "100ms"}, 0},
		"a wrong flag":        {[]string{"receive", "--nonsense"}, 2},
		"a wrong log level":   {[]string{"receive", "--log-level", "loud"}, 2},
		"a wrong log format":  {[]string{"send", "--log-format", "xml", "127.0.0.1"}, 2},
		"a wrong source":      {[]string{"send", "--source", "nonsense:", "127.0.0.1"}, 2},
		"the port is taken":   {[]string{"receive", "--listen", taken.Addr().String(), "--http", ""}, 1},
		"no receiver in time": {[]string{"send", "--source", "pattern", "--warmup", "0s", "--connect-retry", "200ms", "127.0.0.1:1"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, tc.args...)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != tc.want {
				t.Errorf("%v, want exit status %d: %s", err, tc.want, out)
			}
			if got := strings.Count(string(out), "error: "); (tc.want != 0) != (got == 1) {
				t.Errorf("%d error lines: %s", got, out)
			}
		})
	}
}

// What is logged follows the flags, and tokens are not in it at any level.
func TestLogFlags(t *testing.T) {
	const token = "correct-horse-battery-staple"
	recv := launch(t, nil, "", "receive", "--listen", "127.0.0.1:0", "--http", "", "--log-format", "json", "--log-level", "debug", "--token", token, "--state", t.TempDir())
	re := regexp.MustCompile(`waiting for cameras on (\S+?)"`)
	eventually(t, "its address", func() bool { return re.MatchString(recv.stderr()) }, recv.stderr)
	addr := re.FindStringSubmatch(recv.stderr())[1]
	for _, tok := range []string{token, "another-wrong-token-altogether"} {
		send := launch(t, nil, "", "send", "--source", "pattern", "--warmup", "0s", "--for", "1s", "--log-level", "debug", "--log-format", "json", "--token", tok, addr)
		<-send.done
		if strings.Contains(send.stderr(), tok) {
			t.Errorf("the token is in the log: %s", send.stderr())
		}
	}
	eventually(t, "the camera", func() bool { return strings.Contains(recv.stderr(), `"msg":"camera ended"`) }, recv.stderr)
	if _, err := recv.stop(stopWithin); err != nil {
		t.Error(err)
	}
	for _, l := range strings.Split(strings.TrimSpace(recv.stderr()), "\n") {
		if strings.HasPrefix(l, "{") && (!strings.Contains(l, `"time":`) || !strings.Contains(l, `"level":`)) {
			t.Errorf("line %q", l)
		}
		if strings.Contains(l, token) {
			t.Errorf("the token is in the log: %s", l)
		}
	}
	only := launch(t, nil, "", "send", "--source", "pattern", "--warmup", "0s", "--for", "300ms", "--log-level", "error", "127.0.0.1:1")
	<-only.done
	if only.stderr() != "" {
		t.Errorf("with --log-level error it says %q", only.stderr())
	}
}

// Whom the watchdog aborts dies of it: the status of a Go program that is aborted, 2, would
// say that the request is wrong, upon which the units start nothing again. No core is left.
func TestAbortedIsNoMistakeOfTheRequest(t *testing.T) {
	p := launch(t, nil, "", "receive", "--listen", "127.0.0.1:0", "--http", "")
	eventually(t, "its address", func() bool { return strings.Contains(p.stderr(), "waiting for cameras on ") }, p.stderr)
	p.signal(syscall.SIGABRT)
	select {
	case <-p.done:
	case <-time.After(3 * patience):
		t.Fatal("it does not end")
	}
	if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGABRT || s.CoreDump() {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
	if !strings.Contains(p.stderr(), "goroutine 1 ") {
		t.Errorf("it does not say where it was: %s", p.stderr())
	}
}

// The cipher follows the processors of both: a sender without AES instructions, as a
// Raspberry Pi 3 is one, is given ChaCha20. Log and state tell which it is.
func TestCipherFollowsTheProcessors(t *testing.T) {
	a := attack(t, "--token", "correct-horse-battery-staple", "--state", t.TempDir())
	const chacha = "TLS_CHACHA20_POLY1305_SHA256"
	usual := chacha
	if cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL {
		usual = "TLS_AES_128_GCM_SHA256"
	}
	for name, tc := range map[string]struct{ env, cipher string }{"this-machine": {"", usual}, "no-aes": {"GODEBUG=cpu.aes=off", chacha}} {
		t.Setenv("GODEBUG", strings.TrimPrefix(tc.env, "GODEBUG="))
		send := launch(t, nil, "", "send", "--source", "pattern", "--name", name, "--warmup", "0s", "--token", "correct-horse-battery-staple", a.tcp)
		var status string
		eventually(t, "its state", func() bool {
			r, err := http.NewRequest("GET", "http://"+a.http+"/cameras/"+name+"/state", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("", "correct-horse-battery-staple")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			status = string(b)
			return resp.StatusCode == 200 && strings.Contains(status, `"connected": true`)
		}, send.stderr)
		if !strings.Contains(status, `"cipher": "`+tc.cipher+`"`) {
			t.Errorf("%s: want %s; state: %s", name, tc.cipher, status)
		}
		// The state may be there before either log is.
		for _, p := range []*process{send, a.recv} {
			eventually(t, name+": "+tc.cipher+" in what "+p.what+" says", func() bool { return strings.Contains(p.stderr(), tc.cipher) }, p.stderr)
		}
	}
}

// Package examples has programs that use framepipe's packages; its test runs them
// against each other and against the real program.
package examples

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func build(t *testing.T, pkg string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", exe, pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return exe
}

// start runs a program until the test ends.
func start(t *testing.T, ctx context.Context, exe string, args ...string) *bufio.Scanner {
	t.Helper()
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // interrupted
	return bufio.NewScanner(out)
}

func await(t *testing.T, s *bufio.Scanner, pattern string, n int) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var seen []string
	for s.Scan() {
		seen = append(seen, s.Text())
		if re.MatchString(s.Text()) {
			if n--; n == 0 {
				return
			}
		}
	}
	t.Fatalf("no %q in:\n%s", pattern, strings.Join(seen, "\n"))
}

// A source of one's own sends to a sink of one's own, and to the real receiver.
func TestOwnSourceAndSink(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	source, sink, program := build(t, "framepipe/examples/source"), build(t, "framepipe/examples/sink"), build(t, "framepipe/cmd/framepipe")
	for _, receiver := range []struct {
		exe, pattern string
		args         []string
	}{
		{sink, `^ball \d+: 40x30 eighths, brightness \d+, -?[0-9.]+ ms old, within [0-9.]+$`, nil},
		{program, `^ball record \d+: \d+ frames .* lost 0`, []string{"receive", "--http", "", "--announce", "", "--record-length", "500ms", "--keep-records=false", "--listen"}},
	} {
		t.Run(filepath.Base(receiver.exe), func(t *testing.T) {
			run, stop := context.WithCancel(ctx)
			defer stop()
			addr := "127.0.0.1:" + freePort(t)
			out := start(t, run, receiver.exe, append(receiver.args, addr)...)
			start(t, run, source, addr)
			await(t, out, receiver.pattern, 3)
			stop()
			for out.Scan() { // so that it can end
			}
		})
	}
}

// The real sender sends to a sink of one's own.
func TestRealSender(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sink, program := build(t, "framepipe/examples/sink"), build(t, "framepipe/cmd/framepipe")
	addr := "127.0.0.1:" + freePort(t)
	out := start(t, ctx, sink, addr)
	start(t, ctx, program, "send", "--quiet", "--source", "pattern", "--warmup", "0s", "--name", "door", addr)
	await(t, out, `^door \d+: 40x30 eighths, brightness \d+, `, 10)
	cancel()
	for out.Scan() {
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

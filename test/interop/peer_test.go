package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every test: a peer gives up by itself before that.
const patience = 60 * time.Second

func script(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3:", err)
	}
	path, err := filepath.Abs(filepath.Join("..", "peers", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// client runs a peer that dials addr until it ends, and returns its exit status
// and output. args begin with the script's name and its command, if any.
func client(t *testing.T, addr net.Addr, env []string, args ...string) (status int, output string) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr.String())
	args = append([]string{"-B", script(t, args[0])}, args[1:]...)
	args = append(args, "--address", host, "--port", port)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// lastLine decodes the JSON object that peers end with.
func lastLine(t *testing.T, output string, into any) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		t.Fatalf("the peer ends with %q: %v", output, err)
	}
}

// verdict is what v0_server.py says at its end; see test/peers/README.md.
type verdict struct {
	Frames  int
	Bytes   int
	CRC     uint32
	End     string
	Records int
	Size    []int
	Bad     []string
}

// server is a running peer that listens.
type server struct {
	addr string
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs bytes.Buffer
}

// startServer starts a peer; args as for client.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{}
	args = append([]string{"-B", script(t, args[0])}, args[1:]...)
	args = append(args, "--address", "127.0.0.1", "--port", "0", "--json")
	s.cmd = exec.Command("python3", args...)
	s.cmd.Stderr = &s.errs
	stdout, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		_ = s.cmd.Process.Kill() // no harm if it ended
		_ = s.cmd.Wait()
	})
	s.out = bufio.NewReader(stdout)
	line, err := s.out.ReadString('\n')
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("%v says %q, %v\n%s", args, line, err, &s.errs)
	}
	s.addr = addr
	return s
}

// end waits for the server's end and decodes what it says.
func (s *server) end(t *testing.T, into any) {
	t.Helper()
	out, err := io.ReadAll(s.out)
	if err != nil || len(out) == 0 {
		t.Fatalf("%v ended without a word: %v\n%s", s.cmd.Args, err, &s.errs)
	}
	lastLine(t, string(out), into)
}

func itoa(n int) string { return strconv.Itoa(n) }

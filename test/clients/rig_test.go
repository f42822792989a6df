package clients

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 40 * time.Second // the machine may be busy

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "framepipe-clients")
	if err == nil {
		err = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "home")) // nobody's records are to be found
	}
	if err == nil {
		binary = filepath.Join(dir, "framepipe")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", binary, "../../cmd/framepipe").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// program is a running framepipe; page and tcp are a receiver's.
type program struct {
	*testing.T
	cmd  *exec.Cmd
	page string // http://…/
	tcp  string

	mu    sync.Mutex
	lines []string // guarded by mu; of standard error
	done  chan struct{}
}

// start runs framepipe receive on free ports and waits until it says where it is.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := launch(t, append([]string{"receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	p.page = p.says(`the page is at (https?://\S+/)`)
	p.tcp = p.says(`waiting for cameras on (\S+)`)
	return p
}

// send runs framepipe send.
func send(t *testing.T, args ...string) *program {
	t.Helper()
	return launch(t, append([]string{"send"}, args...)...)
}

func launch(t *testing.T, args ...string) *program {
	t.Helper()
	return launched(t, exec.Command(binary, args...))
}

func launched(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{T: t, done: make(chan struct{}), cmd: cmd}
	p.cmd.Dir = t.TempDir()
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() { p.stop() })
	return p
}

// says waits for a line of standard error and returns what the pattern's group holds.
func (p *program) says(pattern string) string {
	p.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(p.said()); m != nil {
			return m[len(m)-1]
		}
	}
	p.Fatalf("it does not say %q, but:\n%s", pattern, p.said())
	return ""
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// stop ends it as Ctrl-C does.
func (p *program) stop() {
	p.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	p.cmd.Process.Signal(os.Interrupt)
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		p.Errorf("%v:\n%s", err, p.said())
	}
}

// kill ends it as kill -9 does.
func (p *program) kill() {
	p.cmd.Process.Kill()
	<-p.done
	p.cmd.Wait()
}

// picture waits until a camera gives pictures.
func (p *program) picture() {
	p.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(p.page + "snapshot"); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return
			}
		}
	}
	p.Fatalf("no picture:\n%s", p.said())
}

func need(t *testing.T, name, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s (apt-get install %s)", name, pkg)
	}
}

// run runs a program to its end and returns its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &complaints)
	}
	return out.String()
}

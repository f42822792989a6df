package docs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const patience = 40 * time.Second // the machine may be busy

// stage is where the commands of one document run, each like in a terminal of its
// own, with a folder and a home of their own. What a command says is put into vars
// for those that follow: where a receiver waits, where its page is.
type stage struct {
	*testing.T
	dir   string
	env   []string
	vars  map[string]string
	plays []*play
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, dir: t.TempDir(), vars: map[string]string{}}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	s.vars["root"], s.vars["free"] = top, freePort(t)
	s.env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH")+":/usr/sbin", "HOME="+s.dir, "XDG_STATE_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "PYTHONPATH="+filepath.Join(top, "clients/python"))
	s.env = append(append(s.env, caches...), environment...)
	t.Cleanup(s.end)
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// play is a command that runs.
type play struct {
	cmd  *exec.Cmd
	text string
	ends []int
	done chan error

	mu   sync.Mutex
	said bytes.Buffer // guarded by mu
}

func (p *play) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *play) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// local refuses what would leave this machine.
var local = regexp.MustCompile(`LAPTOP|HOST|192\.168\.|10\.\d+\.\d+\.|raspberrypi|THIS-MACHINE`)

// change puts in what is different here: pairs of old and new, then vars.
func (s *stage) change(text string, pairs []string) string {
	s.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			s.Fatalf("%s: there is no %q in it to change", text, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	text = strings.NewReplacer(everywhere...).Replace(text)
	return regexp.MustCompile(`\$\{?(\w+)\}?`).ReplaceAllStringFunc(text, func(name string) string {
		value, ok := s.vars[strings.Trim(name, "${}")]
		if !ok {
			s.Fatalf("%s: nothing has said %s yet", text, name)
		}
		return value
	})
}

// start runs a command; with a pattern until it says that, and goes on running it;
// without one to its end, and returns what it said. The pattern's groups become vars.
func (s *stage) start(text, until string, ends []int, env []string) string {
	s.Helper()
	if found := local.FindString(text); found != "" {
		s.Fatalf("%s: %s is not to be asked from a test", text, found)
	}
	if len(ends) == 0 {
		ends = []int{0}
	}
	p := &play{text: text, ends: ends, done: make(chan error, 1)}
	p.cmd = exec.Command("sh", "-c", "exec env "+text)
	if strings.ContainsAny(text, "|;&\n") {
		p.cmd = exec.Command("sh", "-euc", "trap : INT; "+text) // the shell reports how its commands end
	}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = s.dir, append(slices.Clone(s.env), env...), p, p, time.Second
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		s.Fatalf("%s: %v", text, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	if until == "" {
		select {
		case err := <-p.done:
			s.ended(p, err)
		case <-ctx.Done():
			killGroup(p.cmd)
			<-p.done
			s.Fatalf("%s does not end:\n%s", text, p.output())
		}
		return p.output()
	}
	s.plays = append(s.plays, p)
	for re := regexp.MustCompile(until); ; time.Sleep(10 * time.Millisecond) {
		out := p.output()
		if m := re.FindStringSubmatch(out); m != nil {
			for i, name := range re.SubexpNames() {
				if name != "" {
					s.vars[name] = m[i]
				}
			}
			return out
		}
		select {
		case err := <-p.done:
			p.done <- err
			s.Fatalf("%s: ended (%v) and did not say %q, but:\n%s", text, err, until, p.output())
		case <-ctx.Done():
			s.Fatalf("%s: does not say %q, but:\n%s", text, until, out)
		default:
		}
	}
}

// ended holds how a command ended against what it should be.
func (s *stage) ended(p *play, err error) {
	s.Helper()
	if !slices.Contains(p.ends, p.cmd.ProcessState.ExitCode()) {
		s.Errorf("%s: %v\n%s", p.text, err, p.output())
	}
}

// end ends what runs as Ctrl-C does, the last command first.
func (s *stage) end() {
	for _, p := range slices.Backward(s.plays) {
		interruptGroup(p.cmd)
		select {
		case err := <-p.done:
			s.ended(p, err)
		case <-time.After(patience):
			killGroup(p.cmd)
			<-p.done
			s.Errorf("%s does not end:\n%s", p.text, p.output())
		}
	}
}

// picture waits until a page has a camera's picture.
func (s *stage) picture(page, camera string) {
	s.Helper()
	if !strings.HasPrefix(page, "http://127.0.0.1:") {
		s.Fatalf("%q is not a page of this test; known is %v", page, slices.Sorted(maps.Keys(s.vars)))
	}
	url, last := page+"snapshot", ""
	if camera != "" {
		url = page + "cameras/" + camera + "/snapshot"
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if last = fmt.Sprint(resp.Status, err); resp.StatusCode == http.StatusOK && bytes.HasPrefix(b, []byte("\xff\xd8")) {
			return
		}
	}
	s.Fatalf("%s: no picture: %s", url, last)
}

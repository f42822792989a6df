//go:build linux

package rpicam

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"framepipe/capture"
)

// Env names a program to be used instead of rpicam-vid.
const Env = "FRAMEPIPE_RPICAM"

var errNotInstalled = errors.New("neither rpicam-vid nor libcamera-vid is installed")

const installHint = "on Raspberry Pi OS: sudo apt install rpicam-apps-lite"

// find is the path of the program for video ("vid") or stills ("still").
func find(kind string) (string, error) {
	if p := os.Getenv(Env); p != "" {
		if kind == "still" {
			dir, base := filepath.Split(p)
			if k := strings.LastIndex(base, "-vid"); k >= 0 {
				p = dir + base[:k] + "-still" + base[k+len("-vid"):]
			}
		}
		return exec.LookPath(p)
	}
	for _, name := range []string{"rpicam-" + kind, "libcamera-" + kind} {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", errNotInstalled
}

// tail keeps the last words of a program, line by line, and looks at each.
type tail struct {
	mu    sync.Mutex
	heard heard    // guarded by mu
	lines []string // guarded by mu; the last few that are no mere noise
	part  []byte   // guarded by mu; of an unfinished line
	news  chan struct{}
}

const (
	maxLines = 8
	maxLine  = 500
)

func newTail() *tail { return &tail{news: make(chan struct{}, 1)} }

func (t *tail) Write(b []byte) (int, error) {
	n := len(b)
	t.mu.Lock()
	for len(b) > 0 {
		k := min(len(b), maxLine-len(t.part)) // longer lines are taken for several
		end := bytes.IndexByte(b[:k], '\n')
		if end < 0 {
			t.part = append(t.part, b[:k]...)
			b = b[k:]
			if len(t.part) < maxLine {
				break
			}
		} else {
			t.part = append(t.part, b[:end]...)
			b = b[end+1:]
		}
		t.finish()
	}
	t.mu.Unlock()
	select {
	case t.news <- struct{}{}:
	default:
	}
	return n, nil
}

func (t *tail) finish() {
	t.heard.line(t.part)
	s := strings.ToValidUTF8(strings.TrimSpace(string(t.part)), "?")
	t.part = t.part[:0]
	if s == "" || strings.Contains(s, string(saySize)) || strings.HasPrefix(s, "Viewfinder frame") || strings.HasPrefix(s, "#") {
		return // one for every frame
	}
	if len(t.lines) == maxLines {
		copy(t.lines, t.lines[1:])
		t.lines = t.lines[:maxLines-1]
	}
	t.lines = append(t.lines, s)
}

func (t *tail) get() heard {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard
}

// last is the most telling of the last lines: the errors, or else the very last.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.part) > 0 {
		t.finish()
	}
	var errs []string
	for _, l := range t.lines {
		if strings.Contains(l, "ERROR") || strings.Contains(l, "in use") {
			errs = append(errs, l)
		}
	}
	if len(errs) == 0 && len(t.lines) > 0 {
		errs = t.lines[len(t.lines)-1:]
	}
	return strings.Join(errs, "; ")
}

// process is a running rpicam-vid.
type process struct {
	cmd  *exec.Cmd
	out  *os.File // its standard output; closed by stop
	tail *tail
	done chan struct{} // closed when it has ended and err is set
	err  error
}

func start(path string, args []string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{out: r, tail: newTail(), done: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout, p.cmd.Stderr = w, p.tail
	p.cmd.Env = append(os.Environ(), "LIBCAMERA_LOG_NO_COLOR=1")
	p.cmd.WaitDelay = time.Second // should a child of its hold stderr open
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// stop ends the program as Ctrl-C would, so that it puts the camera away in order,
// and harder if that takes more than two seconds.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGINT)
	p.out.Close() // whatever it still writes fails
	select {
	case <-p.done:
		return
	case <-time.After(2 * time.Second):
	}
	p.cmd.Process.Kill()
	<-p.done
}

// explain makes an error of how the program ended.
func explain(op string, t *tail, err error) error {
	words := t.last()
	e := &capture.Error{Op: op}
	switch {
	case strings.Contains(words, "in use") || strings.Contains(words, "failed to acquire camera"):
		e.Hint = "another program uses the camera: stop it (sudo lsof /dev/media* shows which)"
	case strings.Contains(words, "no cameras available") || strings.Contains(words, "No cameras available"):
		e.Hint = "is the camera's ribbon cable in both sockets the right way round? rpicam-hello --list-cameras shows what is found"
	case strings.Contains(words, "unrecognised option"):
		e.Hint = "this rpicam-vid is too old: sudo apt update && sudo apt full-upgrade"
	}
	switch {
	case words != "":
		e.Err = fmt.Errorf("%w: %s", capture.ErrGone, words)
	case err != nil && err != io.EOF:
		e.Err = fmt.Errorf("%w: %w", capture.ErrGone, err)
	default:
		e.Err = fmt.Errorf("%w: the program ended without a word", capture.ErrGone)
	}
	return e
}

// List asks for the cameras there are.
func List(ctx context.Context) ([]Camera, error) {
	path, err := find("vid")
	if err != nil {
		return nil, &capture.Error{Op: "list cameras", Err: err, Hint: installHint}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--list-cameras")
	var out bytes.Buffer
	t := newTail()
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &limited{w: &out, n: 1 << 20}, t, time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.New("no answer within 10 s")
		} else if w := t.last(); w != "" {
			err = errors.New(w)
		}
		return nil, &capture.Error{Op: "list cameras with " + path, Err: err}
	}
	return parseList(out.String()), nil
}

// limited passes on n bytes and swallows the rest.
type limited struct {
	w io.Writer
	n int
}

func (l *limited) Write(b []byte) (int, error) {
	if k := min(len(b), l.n); k > 0 {
		l.n -= k
		if _, err := l.w.Write(b[:k]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

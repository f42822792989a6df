package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// console writes for people: whole lines, and on a terminal one status line that
// is rewritten in place below them. It is also the slog handler of the program,
// which makes a sentence of a message and its attributes.
type console struct {
	mu     sync.Mutex
	out    io.Writer // for status and log lines
	tty    bool
	width  int
	status string // guarded by mu; what stands in the status line

	level slog.Level // what is below is not said
	json  bool       // lines of JSON for programs, in place of sentences
	ranks bool       // journald reads: lines begin with their priority
}

func newConsole(out io.Writer, quiet bool) *console {
	c := &console{out: out, ranks: isJournal(out)}
	if quiet {
		c.level = slog.LevelWarn
	}
	if c.tty = isTerminal(out); c.tty {
		if w, _, err := term.GetSize(int(out.(*os.File).Fd())); err == nil {
			c.width = w
		}
	}
	return c
}

// isTerminal reports whether what is read from or written to is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// line writes a line to w, which may be another stream on the same terminal.
func (c *console) line(w io.Writer, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	fmt.Fprintln(w, text)
	c.draw()
}

// setStatus replaces the status line; where there is no terminal it is not shown.
func (c *console) setStatus(text string) {
	if !c.tty {
		return
	}
	if c.width > 0 && len(text) >= c.width {
		text = text[:c.width-1]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	c.status = text
	c.draw()
}

func (c *console) clear() {
	if c.status != "" {
		io.WriteString(c.out, "\r\x1b[K")
	}
}

func (c *console) draw() {
	if c.status != "" {
		io.WriteString(c.out, c.status)
	}
}

// logger returns a logger that speaks through c.
func (c *console) logger() *slog.Logger {
	if c.json {
		return slog.New(slog.NewJSONHandler(jsonLines{c}, &slog.HandlerOptions{Level: c.level}))
	}
	return slog.New(&sentences{c: c})
}

// jsonLines lets whole lines pass to the console.
type jsonLines struct{ c *console }

func (w jsonLines) Write(b []byte) (int, error) {
	w.c.line(w.c.out, strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// rank is a line's priority as journald wants it, sd-daemon(3).
func rank(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	}
	return "<7>"
}

// sentences is a slog.Handler: "message: key value, key value".
type sentences struct {
	c     *console
	attrs []slog.Attr
}

func (h *sentences) Enabled(_ context.Context, l slog.Level) bool {
	return l >= h.c.level
}

func (h *sentences) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	if h.c.ranks {
		b.WriteString(rank(r.Level))
	}
	if r.Level >= slog.LevelWarn {
		b.WriteString("warning: ")
	}
	b.WriteString(r.Message)
	sep := ": "
	add := func(a slog.Attr) bool {
		v := a.Value.Resolve().String()
		if v == "" {
			return true
		}
		b.WriteString(sep)
		sep = ", "
		if a.Key != "cause" {
			b.WriteString(strings.ReplaceAll(a.Key, "_", " "))
			b.WriteByte(' ')
		}
		b.WriteString(oneLine(v))
		return true
	}
	r.Attrs(add)
	for _, a := range h.attrs {
		add(a)
	}
	h.c.line(h.c.out, b.String())
	return nil
}

func (h *sentences) WithAttrs(a []slog.Attr) slog.Handler {
	return &sentences{c: h.c, attrs: append(append([]slog.Attr{}, h.attrs...), a...)}
}

func (h *sentences) WithGroup(string) slog.Handler { return h }

// every calls f at once and then each d, until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

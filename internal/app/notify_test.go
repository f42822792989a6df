package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestWatchdog(t *testing.T) {
	start := time.Unix(1000, 0)
	w := watchdog{patience: 10 * time.Second, since: start}
	for _, s := range []struct {
		after  time.Duration
		frames uint64
		excuse bool
		period time.Duration
		want   bool
	}{
		{0, 0, false, 0, true},                            // just begun
		{9 * time.Second, 0, false, 0, true},              // may still come
		{11 * time.Second, 0, false, 0, false},            // does not
		{12 * time.Second, 1, false, 0, true},             // came
		{30 * time.Second, 1, true, 0, true},              // nobody is there to send
		{39 * time.Second, 1, false, 0, true},             // patience begins after the excuse
		{41 * time.Second, 1, false, 0, false},            //
		{42 * time.Second, 1, false, time.Minute, true},   // a frame a minute
		{300 * time.Second, 1, false, time.Minute, false}, //
		{301 * time.Second, 0, false, 0, true},            // a counter that begins again is life too
	} {
		if got := w.fed(start.Add(s.after), vigil{frames: s.frames, excuse: s.excuse, period: s.period}); got != s.want {
			t.Errorf("after %v: fed %v, want %v", s.after, got, s.want)
		}
	}
}

func TestLogLines(t *testing.T) {
	var out bytes.Buffer
	speak := func(c *console) string {
		out.Reset()
		l := c.logger()
		l.Debug("d", "n", 1)
		l.Info("i", "n", 1, "none", "")
		l.Warn("w", "cause", "a\nb")
		l.Error("e")
		return out.String()
	}
	if got, want := speak(newConsole(&out, false)), "i: n 1\nwarning: w: a b\nwarning: e\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := speak(newConsole(&out, true)), "warning: w: a b\nwarning: e\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c := newConsole(&out, false)
	c.ranks, c.level = true, slog.LevelDebug
	if got, want := speak(c), "<7>d: n 1\n<6>i: n 1\n<4>warning: w: a b\n<3>warning: e\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c = newConsole(&out, false)
	c.json = true
	lines := strings.Split(strings.TrimSpace(speak(c)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	var line struct {
		Level, Msg, Cause string
	}
	if err := json.Unmarshal([]byte(lines[1]), &line); err != nil || line.Level != "WARN" || line.Msg != "w" || line.Cause != "a\nb" {
		t.Errorf("%v: %s", err, lines[1])
	}
}

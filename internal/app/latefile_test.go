package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// While nothing can be written, lines wait up to the bound; the rest are lost whole
// and counted. What is in the file in the end are whole lines, in order.
func TestLateFile(t *testing.T) {
	var said bytes.Buffer
	name := filepath.Join(t.TempDir(), "log")
	l, err := createLate("frame log", name, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 999) + "\n"
	const extra = 100
	lines := lateMost/len(line) + extra
	text := strings.Repeat(line, lines)
	for cut := 0; cut < len(text); cut += 65_536 { // as a buffer in between cuts it
		if n, err := l.Write([]byte(text[cut:min(len(text), cut+65_536)])); err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	go l.run()
	l.close()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if kept := bytes.Count(b, []byte("\n")); kept != lines-extra || len(b) != kept*len(line) || l.lost != extra {
		t.Errorf("%d lines in %d bytes, %d counted as lost, of %d", kept, len(b), l.lost, lines)
	}
	if !strings.Contains(said.String(), "100 rows lost") {
		t.Errorf("it says %q", said.String())
	}
}

// At the end, what cannot be written is counted, and no half a line stays.
func TestLateFileThatCannotBeWritten(t *testing.T) {
	var said bytes.Buffer
	name := filepath.Join(t.TempDir(), "log")
	l, err := createLate("frame log", name, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.f.WriteAt([]byte("a\nb\nhalf"), 0); err != nil {
		t.Fatal(err)
	}
	l.off = 8
	l.held = []byte(" a line\nanother\n")
	l.giveUp()
	b, err := os.ReadFile(name)
	if err != nil || string(b) != "a\nb\n" || l.lost != 2 {
		t.Errorf("%q, %d lost, %v", b, l.lost, err)
	}
	l.f.Close() // every write fails from here on
	if l.f, err = os.Open(name); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("c\nd\n")); err != nil {
		t.Fatal(err)
	}
	go l.run()
	l.close()
	if l.lost != 4 || !strings.Contains(said.String(), "cannot be written") || !strings.Contains(said.String(), "4 rows lost") {
		t.Errorf("%d lost; it says %q", l.lost, said.String())
	}
}

// Programs that rotate logs rename the file, or copy and empty it: nothing is lost, nothing
// stands twice, and each file begins with the header.
func TestLateFileIsRotated(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "log")
	l, err := createLate("frame log", name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const head = "a,header\n"
	go l.run()
	in := func(file, text string) {
		t.Helper()
		var b []byte
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if b, _ = os.ReadFile(file); string(b) == text {
				return
			}
		}
		t.Fatalf("%s has %q, want %q", file, b, text)
	}
	write := func(s string) {
		if _, err := l.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	rename := func(to string) {
		if err := os.Rename(name, filepath.Join(dir, to)); err != nil {
			t.Skip("an open file cannot be renamed here: ", err)
		}
	}
	write(head + "1\n")
	in(name, head+"1\n")
	rename("log.1")
	write("2\n")
	in(name, head+"2\n")
	in(filepath.Join(dir, "log.1"), head+"1\n")
	if err := os.Truncate(name, 0); err != nil { // copied before
		t.Fatal(err)
	}
	write("3\n")
	in(name, head+"3\n")
	rename("log.2")
	if err := os.WriteFile(name, nil, 0o640); err != nil { // logrotate's "create"
		t.Fatal(err)
	}
	write("4\n")
	in(name, head+"4\n")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	write("5\n6\n")
	in(name, head+"5\n6\n")
	write("7\n")
	l.close()
	in(name, head+"5\n6\n7\n")
	if l.lost != 0 {
		t.Errorf("%d lines are lost", l.lost)
	}
}

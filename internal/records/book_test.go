package records

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/measure"
)

// said is what a book writes into the log.
type said struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// open opens a book of at most two cameras with ten records each, and runs it.
func open(t *testing.T, dir string) (*Book, *said) {
	t.Helper()
	log := new(said)
	b := Open(Config{Dir: dir, Cameras: 2, Each: 10, Log: slog.New(slog.NewTextHandler(log, nil))})
	if b != nil {
		go b.Run()
	}
	return b, log
}

func record(camera string, n int) *measure.Record {
	return &measure.Record{Camera: camera, Run: "run", Number: n, Complete: true, Frames: int64(10 * n)}
}

// numbers is what a book has of a camera.
func numbers(b *Book, camera string) (all []int) {
	for _, r := range b.Of(camera) {
		all = append(all, r.Number)
	}
	return all
}

func from(first, last int) (all []int) {
	for n := first; n <= last; n++ {
		all = append(all, n)
	}
	return all
}

func same(t *testing.T, what string, got, want []int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: records %v, want %v", what, got, want)
	}
}

func lines(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

func TestRecordsOutliveTheirBook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	b, log := open(t, dir)
	for n := 1; n <= 3; n++ {
		b.Add(record("door", n))
	}
	b.Close()
	b, _ = open(t, dir)
	same(t, "a camera that is not met", numbers(b, "door"), from(1, 3))
	if all := b.Earlier("door"); len(all) != 3 || all[0].Frames != 10 || len(b.Of("door")) != 0 {
		t.Errorf("handed over: %v", all)
	}
	b.Add(record("door", 4))
	b.Close()
	b, _ = open(t, dir)
	same(t, "after both", numbers(b, "door"), from(1, 4))
	b.Close()
	if s := log.String(); s != "" {
		t.Errorf("it says %s", s)
	}
	for name, mode := range map[string]os.FileMode{".": 0o700, fileName: 0o600} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, fi.Mode(), err)
		}
	}
	var none *Book
	none.Add(record("door", 1))
	none.Forgotten("door", nil)
	none.Close()
	if none.Of("door") != nil || none.Earlier("door") != nil || none.NotKept() != 0 {
		t.Error("a book that is none has something")
	}
}

// However many cameras, whatever their names: the folder has two files, and the
// larger one is bounded while it is written as well as when it is opened.
func TestBookIsBounded(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir)
	longest := 0
	for n := 1; n <= 300; n++ {
		b.Add(record(fmt.Sprintf("../../%d\x1b<b>", n/3), n))
		for range 1000 { // until it is written
			b.mu.Lock()
			written := len(b.queue) == 0
			b.mu.Unlock()
			if written {
				break
			}
			time.Sleep(time.Millisecond)
		}
		longest = max(longest, lines(t, dir))
	}
	for n := range 100 {
		b.Forgotten(fmt.Sprint("gone", n), []*measure.Record{record("gone", 1)})
	}
	if len(b.earlier) != 2 || len(b.order) != 2 {
		t.Errorf("%d cameras are in memory", len(b.earlier))
	}
	b.Close()
	if longest > 2*10*2 {
		t.Errorf("the file had %d lines", longest)
	}
	list, _ := os.ReadDir(dir)
	if len(list) != 2 {
		t.Errorf("the folder has %v", list)
	}
	// Somebody else's idea of such a file.
	f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, strings.Repeat("x", 10*mostLine))
	for n := range 5000 {
		line, _ := json.Marshal(record(fmt.Sprint("cam", n%4), n))
		fmt.Fprintf(f, "%s\n", line)
	}
	f.Close()
	b, log := open(t, dir)
	defer b.Close()
	if n := lines(t, dir); n != 20 || len(b.earlier) != 2 {
		t.Errorf("%d lines, %d cameras", n, len(b.earlier))
	}
	if !strings.Contains(log.String(), "1 earlier records were not written to their end") {
		t.Errorf("it says %s", log)
	}
}

// Power that fails leaves the beginning of a line, or zeros: that is dropped with a
// warning, all before it stays, and what comes after it is whole.
func TestTornBook(t *testing.T) {
	whole, _ := json.Marshal(record("door", 3))
	for name, tail := range map[string]string{
		"half a line": string(whole[:len(whole)/2]), "zeros": strings.Repeat("\x00", 4096), "no end": string(whole), "half a line in the middle": string(whole[:20]) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b, _ := open(t, dir)
			b.Add(record("door", 1))
			b.Add(record("door", 2))
			b.Close()
			f, err := os.OpenFile(filepath.Join(dir, fileName), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, tail)
			f.Close()
			b, log := open(t, dir)
			same(t, "what is left", numbers(b, "door"), from(1, 2))
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "1 earlier records were not written to their end") {
				t.Errorf("it says %s", log)
			}
			b.Add(record("door", 4))
			b.Close()
			b, log = open(t, dir)
			same(t, "after it", numbers(b, "door"), []int{1, 2, 4})
			b.Close()
			if log.String() != "" {
				t.Errorf("again it says %s", log)
			}
		})
	}
}

// A file that was about to take the old one's place when power failed is no matter.
func TestLeftOverBesideTheBook(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir)
	b.Add(record("door", 1))
	b.Close()
	if err := os.WriteFile(filepath.Join(dir, fileName+".new"), []byte("{\"camera\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, _ = open(t, dir)
	same(t, "beside it", numbers(b, "door"), from(1, 1))
	for n := 2; n <= 60; n++ {
		b.Add(record("door", n))
	}
	b.Close()
	b, _ = open(t, dir)
	same(t, "the newest", numbers(b, "door"), from(51, 60))
	b.Close()
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("the folder has %v", list)
	}
}

// A disk that takes nothing costs one warning and a count; what waits is bounded, and is
// written once the disk is back.
func TestDiskThatTakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the folder should be: fails for root, too
		t.Fatal(err)
	}
	b, log := open(t, dir)
	b.Add(record("door", 1))
	for range 5000 {
		if strings.Contains(log.String(), "records are not kept across a restart now") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	b.Add(record("door", 2))
	b.Close() // tries once more
	if b.NotKept() != 0 || strings.Count(log.String(), "not kept across a restart now") != 1 || !strings.Contains(log.String(), "records are kept again") {
		t.Errorf("%d lost; it says %s", b.NotKept(), log)
	}
	b, _ = open(t, dir)
	same(t, "written late", numbers(b, "door"), from(1, 2))
	b.Close()

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b, log = open(t, dir)
	const many = 20_000
	for n := range many {
		b.Add(record("door", n))
	}
	if len(b.queue) > mostWaiting {
		t.Errorf("%d bytes wait", len(b.queue))
	}
	b.Close()
	if b.NotKept() != many || strings.Count(log.String(), "not kept across a restart now") != 1 || !strings.Contains(log.String(), fmt.Sprint(many, " records were not kept")) {
		t.Errorf("%d of %d lost; it says %s", b.NotKept(), many, log)
	}
}

// Two receivers with one state folder do not write over each other's records.
func TestOneBookAtATime(t *testing.T) {
	dir := t.TempDir()
	b, _ := open(t, dir)
	b.Add(record("door", 1))
	second, log := open(t, dir)
	if second != nil || !strings.Contains(log.String(), "another receiver keeps its own there") {
		t.Errorf("a second one was opened; it says %s", log)
	}
	b.Close()
	b, _ = open(t, dir)
	if b == nil {
		t.Fatal("the lock is left behind")
	}
	same(t, "the first one's", numbers(b, "door"), from(1, 1))
	b.Close()
}

// What version 1 kept, later ones read. This file must never change; one of a later
// version, with more in it than we know, is read too, and not made poorer.
func TestBookOfAnEarlierVersion(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "state", fileName))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	later := `{"camera":"door","run":"0000000000000001","record":1,"complete":true,"frames":7,"began":"2027-01-01T00:00:00Z","of_a_later_version":{"x":1}}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, fileName), append(golden, later+"torn"...), 0o600); err != nil {
		t.Fatal(err)
	}
	b, _ := open(t, dir)
	all := b.Earlier("door")
	b.Close()
	if len(all) != 4 {
		t.Fatalf("%d records", len(all))
	}
	r := all[0]
	if r.Run == "" || r.Run == all[2].Run || r.Number != 1 || !r.Complete || r.Frames != 61 || r.Elapsed != 2 || r.Began.Year() != 2026 || r.Latency == nil || r.Latency.P50 <= 0 || r.Stages["encode"] == nil || r.Age == nil || r.Lost == nil || r.Delivered != 61 {
		t.Errorf("%+v", r)
	}
	if all[2].Number != 1 || all[3].Frames != 7 {
		t.Errorf("%+v, %+v", all[2], all[3])
	}
	now, err := os.ReadFile(filepath.Join(dir, fileName)) // rewritten without the torn line
	if err != nil || string(now) != string(golden)+later {
		t.Errorf("the file is now %s, %v", now, err)
	}
}

//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"framepipe/internal/netem"
	"framepipe/test/release"
)

var first = flag.Uint64("chaos-first", 1, "seed of the first trial")

var program string

func TestMain(m *testing.M) {
	beSomebodyElse()
	flag.Parse()
	dir, err := os.MkdirTemp("", "framepipe-chaos-")
	if err == nil {
		err = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "home")) // nobody's records are to be found by us
	}
	if err == nil {
		program = filepath.Join(dir, "framepipe")
		err = release.Build(program, "chaos")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// Every kind of fault once. `make chaos` tries each many times.
func TestFaults(t *testing.T) {
	if err := netem.Possible(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	haste = 2
	slots := make(chan struct{}, 5) // namespaces and processes, not processors, bound what runs at once
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			seed := *first + uint64(i)
			keep := t.TempDir()
			r := run(t.Context(), program, f, seed, keep)
			if r.unprepared {
				t.Skip(r.Failures)
			}
			t.Log(r.line())
			// Silent losses are among the failures; a bound on time is not, the machine may be
			// busy: only that the stream is back.
			if len(r.Failures) > 0 {
				t.Errorf("again with: go run ./test/chaos -fault %s -seed %d", f.name, seed)
				said, _ := os.ReadFile(filepath.Join(keep, fmt.Sprintf("%s-%d.txt", f.name, seed)))
				t.Logf("%s", said)
			}
		})
	}
}

// The checks must be able to fail: each reading of what the programs say and write
// is given something wrong.
func TestChecksCanFail(t *testing.T) {
	a, err := senderAccount("x\nthe camera gave 10 frames: 7 sent (6 confirmed by the receiver), 3 lost (encoder busy 1, stale 2)\neach frame: y")
	if err != nil || a.offered != 10 || a.sent != 7 || a.lost["encoder_busy"] != 1 || a.lost["stale"] != 2 || a.imbalance {
		t.Errorf("%+v %v", a, err)
	}
	for _, text := range []string{"the camera gave 10 frames: 7 sent, 2 lost (stale 2)", "the camera gave 10 frames: 7 sent, 2 lost (stale 2); 1 UNACCOUNTED FOR: this is a bug"} {
		if a, err := senderAccount(text); err != nil || !a.imbalance {
			t.Errorf("%q: %+v %v", text, a, err)
		}
	}
	if _, err := senderAccount("killed"); err == nil {
		t.Error("a sender without last words passes")
	}
	row := func(seq, offered int) string {
		return fmt.Sprintf("door,%d,jpeg,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,%d,%d\n", seq, offered, offered)
	}
	name := filepath.Join(t.TempDir(), "frames.csv")
	head := "camera,seq,format,width,height,frame_bytes,captured_s_ns,dequeued_s_ns,encoded_s_ns,send_started_s_ns,first_byte_r_ns,last_byte_r_ns,delivered_r_ns,clock_offset_ns,clock_error_ns,driver_ms,encode_ms,queue_ms,network_ms,transfer_ms,deliver_ms,total_ms,offered,sent\n"
	for text, want := range map[string]int{
		head + row(1, 1) + row(3, 3): 2, head + row(5, 5) + row(1, 1): 2, head + row(1, 1) + "door,2,jp": 1,
		head + row(2, 2) + row(2, 3): -1, head + "door,1\n": -1,
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := frameLog(name); (err != nil) != (want < 0) || want >= 0 && got != want {
			t.Errorf("%d rows, %v; want %d of %q", got, err, want, text)
		}
	}
	kept := []keptRecord{{"door", "a", 1, 30}, {"door", "a", 2, 30}, {"door", "b", 1, 30}}
	last := map[keptRecord]bool{kept[1]: true}
	for _, c := range []struct {
		what  string
		kept  []keptRecord
		spare int
		ok    bool
	}{
		{"all", kept, 0, true}, {"not the last of a killed one", []keptRecord{kept[0], kept[2]}, 0, true}, {"one is missing", kept[1:], 0, false}, {"and told", kept[1:], 1, true},
		{"one twice", []keptRecord{kept[0], kept[0], kept[1], kept[2]}, 0, false}, {"another order", []keptRecord{kept[1], kept[0], kept[2]}, 0, false},
	} {
		if err := compareKept(c.kept, kept, last, c.spare); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if all, err := parseRecords(`{"camera":"door","run":"a","record":1}` + "\n" + `{"camera":"door","ru`); err == nil {
		t.Errorf("half a record passes: %v", all)
	}
	if err := os.WriteFile(name, []byte("no recording at all, however long it may be"+string(make([]byte, 8000))), 0o666); err != nil {
		t.Fatal(err)
	}
	if n, err := readBack(name); err == nil {
		t.Errorf("%d frames read from nothing", n)
	}
}

// The same seed makes the same trial.
func TestSeedIsAll(t *testing.T) {
	draw := func(seed uint64) (out []time.Duration) {
		tr := newTrial("", faults[0], seed)
		for range 20 {
			out = append(out, tr.between(0, time.Hour))
		}
		return out
	}
	if a, b, c := fmt.Sprint(draw(5)), fmt.Sprint(draw(5)), fmt.Sprint(draw(6)); a != b || a == c {
		t.Errorf("%s\n%s\n%s", a, b, c)
	}
}

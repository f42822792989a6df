package result

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/experiment/plan"
	"framepipe/measure"
)

func testPlan(t *testing.T) *plan.Plan {
	p, err := plan.Parse("p", []byte("factors: {mode: [sequence, continuous]}\nrecords: 4\nrepeats: 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rowsOf makes frame log rows as measure.FrameLog writes them.
func rowsOf(n, size int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "cam,%d,jpeg,320,240,%d,%d,1,1,1,1,1,%d,0,10,0.1,0.2,0.3,0.4,0.5,0.6,2.1,%d,%d\n", i+1, size, 1000*i+1, 1000*i+500, i+1, i+1)
	}
	return b.Bytes()
}

func record(n int, frames int64, size float64) Row {
	e := 0.25
	return Row{Cell: "sequence", Repeat: 1, Attempt: 1, Began: time.Unix(1700000000, 0).UTC(), Record: measure.Record{Number: n, Complete: true, Frames: frames, Elapsed: 10, MeanSize: size, FPS: float64(frames) / 10,
		Latency: &measure.Quantiles{P50: 1.5, P99: 2}, ClockError: &e, Lost: map[string]uint64{"stale": 3}, Offered: uint64(frames) + 3, Delivered: uint64(frames)}}
}

func filled(t *testing.T, dir string, n int) *Folder {
	t.Helper()
	f, err := Create(dir, testPlan(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddVisit(Visit{Event: Begun, Cell: "sequence", Repeat: 1, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := f.Append(record(i+1, int64(10+i), 100), rowsOf(10+i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestWrittenIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	filled(t, dir, 3).Close()
	d, err := Read(dir)
	if err != nil || len(d.Rows) != 3 {
		t.Fatalf("%d rows, %v", len(d.Rows), err)
	}
	r, want := d.Rows[1], record(2, 11, 100)
	if r.Cell != want.Cell || r.Number != 2 || r.FPS != want.FPS || r.Latency.P99 != 2 || *r.ClockError != 0.25 || r.Age != nil || r.Lost["stale"] != 3 || !r.Began.Equal(want.Began) || !r.Complete {
		t.Errorf("read %+v, written %+v", r, want)
	}
	records, err := d.Frames("sequence", 1)
	if err != nil || len(records) != 3 || len(records[2]) != 12 || records[2][11].Bytes != 100 || records[0][0].Stages[measure.StageTotal] != 2.1 {
		t.Errorf("%d frame logs, %v", len(records), err)
	}
	if _, err := Create(dir, testPlan(t)); err == nil {
		t.Error("a folder with results is overwritten")
	}
	if f, err := d.Frames("continuous", 1); f != nil || err != nil {
		t.Errorf("frames of a visit that was not made: %v, %v", f, err)
	}
}

// Whatever a kill cuts off, the folder opens, what its rows vouch for is whole,
// and the run goes on.
func TestCutAtEveryByte(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	filled(t, whole, 3).Close()
	log := FramesFile("sequence", 1)
	full, err := Read(whole)
	if err != nil {
		t.Fatal(err)
	}
	cut := func(name string, at int64) {
		dir := filepath.Join(t.TempDir(), "cut")
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), at); err != nil {
			t.Fatal(err)
		}
		if name == log { // written before its row
			b, err := os.ReadFile(filepath.Join(dir, RecordsFile))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(string(b), "\n")
			if err := os.WriteFile(filepath.Join(dir, RecordsFile), []byte(strings.Join(lines[:3], "")), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		f, err := Open(dir)
		if err != nil {
			if name == RecordsFile && at == 0 {
				return // nothing of it is there
			}
			t.Fatalf("%s cut at %d: %v", name, at, err)
		}
		defer f.Close()
		n := len(f.Rows)
		if records, err := f.Frames("sequence", 1); err != nil || len(records) != n {
			t.Fatalf("%s cut at %d: %d rows, %d frame logs, %v", name, at, n, len(records), err)
		}
		if err := f.Append(record(n+1, 7, 50), rowsOf(7, 50)); err != nil {
			t.Fatal(err)
		}
		if records, err := f.Frames("sequence", 1); err != nil || len(records) != n+1 || len(records[n]) != 7 {
			t.Fatalf("%s cut at %d, then a record more: %d frame logs, %v", name, at, len(records), err)
		}
		if again, err := Read(dir); err != nil || len(again.Rows) != n+1 {
			t.Fatalf("%s cut at %d: read again %v", name, at, err)
		}
	}
	header := int64(len(strings.Join(header(), ",")) + 1)
	fi, err := os.Stat(filepath.Join(whole, RecordsFile))
	if err != nil {
		t.Fatal(err)
	}
	for at := header; at <= fi.Size(); at += 7 {
		cut(RecordsFile, at)
	}
	for at := full.Rows[1].LogEnd; at <= full.Rows[2].LogEnd; at += 5 {
		cut(log, at)
	}
	for at := range int64(40) {
		cut(VisitsFile, at)
	}
}

func TestBrokenVisitsDoNotCount(t *testing.T) {
	f := filled(t, filepath.Join(t.TempDir(), "out"), 2)
	defer f.Close()
	if err := f.AddVisit(Visit{Event: Broken, Cell: "sequence", Repeat: 1, Attempt: 1, Cause: "unplugged"}); err != nil {
		t.Fatal(err)
	}
	again := record(1, 9, 100)
	again.Attempt = 2
	if err := f.Append(again, rowsOf(9, 100)); err != nil {
		t.Fatal(err)
	}
	if v := f.Valid(); len(v) != 1 || v[0].Attempt != 2 {
		t.Errorf("%d rows count", len(v))
	}
	if records, err := f.Frames("sequence", 1); err != nil || len(records) != 3 || len(records[2]) != 9 {
		t.Errorf("%d frame logs, %v", len(records), err)
	}
}

func FuzzReadRows(f *testing.F) {
	b := []byte(strings.Join(header(), ",") + "\n")
	r := record(1, 10, 100)
	b = append(b, []byte(strings.Join(r.line(), ",")+"\n")...)
	f.Add(b)
	f.Add([]byte("cell,repeat,record,fps\nx,1,1,NaN\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, whole, err := readRows(b)
		if err == nil && (whole < 0 || whole > int64(len(b)) || len(rows) > len(b)) {
			t.Errorf("%d rows, %d of %d bytes", len(rows), whole, len(b))
		}
	})
}

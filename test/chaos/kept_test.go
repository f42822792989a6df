//go:build linux

package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"framepipe/measure"
)

// A receiver that is killed and started again, without a flag about it, has the records
// that it had finished, to the last figure, and tells them from those of its new life;
// also of a camera that does not come back.
func TestRecordsOutliveKill9(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // a port that is the same in each life
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().String()
	ln.Close()
	file := filepath.Join(os.Getenv("XDG_STATE_HOME"), "framepipe", "records.jsonl")
	receive := func(args ...string) *attacked {
		a := &attacked{T: t}
		a.recv = launch(t, nil, "", append([]string{"receive", "--listen", port, "--http", "127.0.0.1:0", "--record-length", "300ms", "--announce", "", "--json"}, args...)...)
		page := regexp.MustCompile(`the page is at http://(\S+)/`)
		eventually(t, "the page", func() bool { return page.MatchString(a.recv.stderr()) }, a.recv.stderr)
		a.http = page.FindStringSubmatch(a.recv.stderr())[1]
		return a
	}
	records := func(a *attacked) (all []measure.Record) {
		status, b := a.get("/cameras/good/records")
		if status != 200 || json.Unmarshal(b, &all) != nil {
			return nil
		}
		return all
	}
	const each = 4
	var before []measure.Record // what all lives so far had
	var send *process
	for life := range 3 {
		a := receive()
		if life == 0 {
			send = launch(t, nil, "", "send", "--source", "pattern", "--name", "good", "--warmup", "0s", port)
		}
		var now []measure.Record
		eventually(t, "records of this life", func() bool { now = records(a); return len(now) >= len(before)+each }, a.recv.stderr)
		a.recv.kill() // -9
		printed, err := parseRecords(a.recv.stdout())
		if err != nil {
			t.Fatal(err)
		}
		if len(printed) > 0 && printed[0].Number != 1 {
			t.Errorf("life %d begins with record %d", life, printed[0].Number)
		}
		old, mine := now[:len(before)], now[len(before):]
		if was, is := text(before), text(old); was != is {
			t.Fatalf("life %d had\n%s\nand it is now\n%s", life, was, is)
		}
		for i, r := range mine {
			if r.Number != i+1 || r.Run != mine[0].Run || r.Run == "" || slices.ContainsFunc(before, func(b measure.Record) bool { return b.Run == r.Run }) {
				t.Errorf("life %d: record %d of run %q", life, r.Number, r.Run)
			}
			if i > 0 && r.Began.Sub(mine[i-1].Began).Abs() > time.Minute || r.Began.IsZero() {
				t.Errorf("life %d: record %d began %v", life, r.Number, r.Began)
			}
		}
		// What the file has is what the next life will know: all that was asked for but perhaps the newest.
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before = nil
		for line := range strings.Lines(string(b)) {
			var r measure.Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			before = append(before, r)
		}
		if len(before) < len(now)-1 || text(before[:len(now)-1]) != text(now[:len(now)-1]) {
			t.Fatalf("life %d told of\n%s\nand kept\n%s", life, text(now), text(before))
		}
	}
	send.kill()
	a := receive()
	if got := text(records(a)); got != text(before) {
		t.Errorf("of a camera that did not come back:\n%s\nwant\n%s", got, text(before))
	}
	if status, _ := a.get("/cameras/never/records"); status != 503 {
		t.Errorf("a camera that never was: status %d", status)
	}
	a.recv.kill()
	a = receive("--keep-records=false")
	if got := records(a); got != nil {
		t.Errorf("with --keep-records=false: %v", got)
	}
	a.recv.kill()
}

func text(all []measure.Record) string {
	var b strings.Builder
	for _, r := range all {
		line, _ := json.Marshal(r)
		b.Write(append(line, '\n'))
	}
	return b.String()
}

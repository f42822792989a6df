//go:build linux

package experiments

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// One clear line for each, exit status 2, and nothing left behind.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		name, plan, want string
		args             []string
	}{
		{"no such plan", "", "there is neither a file nor a preset", []string{"nosuch", "--local"}},
		{"unknown factor", "factors: {colour: [red]}\n", "unknown factor", nil},
		{"level that the camera cannot do", "source: pattern\nfactors: {control.zoom: [1, 2]}\nfixed: {size: 160x120}\n", "the camera cannot do cell", nil},
		{"empty matrix", "records: 2\n", "the matrix is empty", nil},
		{"contradictory stop rule", "fixed: {mode: sequence}\nstop: {min-repeats: 100, precision: 1%}\n", "stop contradicts the plan", nil},
		{"link without local", "", "--link needs --local", []string{"origin", "--link", "rate=1mbit"}},
		{"bad link", "", "unknown; there are rate", []string{"origin", "--local", "--link", "speed=3"}},
		{"both", "", "exclude each other", []string{"origin", "--local", "--camera", "x"}},
		{"bad source", "fixed: {mode: sequence}\n", "unknown source", []string{"", "--local", "--source", "nosuch:1"}},
		{"resume of nothing", "", "is no result folder", []string{"--resume", "--local"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			args := append([]string{"experiment", "run"}, tc.args...)
			if tc.plan != "" {
				name := writePlan(t, tc.plan)
				if len(tc.args) > 0 {
					args[2] = name
				} else {
					args = append(args, name, "--local")
				}
			}
			status, out, errs := run(t, append(args, "--out", dir)...)
			if status == 0 || !strings.Contains(errs, tc.want) || strings.Count(errs, "error:") != 1 {
				t.Errorf("exit status %d, says %q%q, want %q", status, out, errs, tc.want)
			}
			if tc.name != "resume of nothing" && status != 2 {
				t.Errorf("exit status %d", status)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("the folder was left behind")
			}
		})
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	status, _, errs := run(t, "experiment", "run", "origin", "--local", "--out", filepath.Join(file, "out"))
	if status == 0 || strings.Count(errs, "error:") != 1 || !strings.Contains(errs, "cannot make the result folder") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

// A full disk ends the run with one line; what was measured stays, and with room
// the run goes on.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small disk")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=400k"); err != nil {
		t.Skip("cannot mount a small disk: ", err)
	}
	defer func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	}()
	dir := filepath.Join(disk, "out")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 340<<10), 0o666); err != nil {
		t.Fatal(err)
	}
	plan := writePlan(t, smallPlan)
	status, _, errs := run(t, "experiment", "run", plan, "--local", "--out", dir)
	if status != 1 || !strings.Contains(errs, "no space left on device") || strings.Count(errs, "error:") != 1 || !strings.Contains(errs, "hint: make room") {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	had := len(read(t, dir).Rows)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records were there when the disk was full", had)
	_, _, errs = run(t, "experiment", "run", "--resume", "--local", "--out", dir) // the report may not fit
	d := read(t, dir)
	complete(t, d)
	if t.Failed() {
		t.Log(errs)
	}
}

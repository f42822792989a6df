package experiments

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/experiment/result"
)

// patience bounds what the tests start.
const patience = 90 * time.Second

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "framepipe-experiments-")
	if err == nil {
		err = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "home")) // nobody's records are to be found
	}
	if err == nil {
		program = filepath.Join(dir, "framepipe")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "framepipe/cmd/framepipe").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// run runs the program to its end and returns exit status, output and errors.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, &out, &errs)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs the program, which has to succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := run(t, args...)
	if status != 0 {
		t.Fatalf("%v: exit status %d\n%s%s", args, status, out, errs)
	}
	return out
}

const smallPlan = `
name: small
source: pattern?noise=5
fixed: {size: 160x120, fps: 50, policy: gated}
factors:
  format: [jpeg, yuv]
  mode: [sequence, continuous]
records: 2
record-length: 300ms
repeats: 2
warmup: 50ms
`

func writePlan(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// read reads a folder and checks that it is consistent: each visit's frames are
// as many as its rows say.
func read(t *testing.T, dir string) *result.Data {
	t.Helper()
	d, err := result.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Plan.Cells() {
		for repeat := 1; repeat <= d.Plan.Repeats; repeat++ {
			records, err := d.Frames(c.ID, repeat)
			if err != nil {
				t.Fatal(err)
			}
			k := 0
			for _, r := range d.Rows {
				if r.Cell != c.ID || r.Repeat != repeat {
					continue
				}
				if k >= len(records) || int64(len(records[k])) != r.Frames {
					t.Fatalf("%s repeat %d: the frame log does not have record %d's %d frames", c.ID, repeat, r.Number, r.Frames)
				}
				bytes := 0
				for _, f := range records[k] {
					bytes += f.Bytes
				}
				if want := r.MeanSize * float64(r.Frames); float64(bytes) < want-1 || float64(bytes) > want+1 {
					t.Fatalf("%s repeat %d record %d: %d bytes in the log, %.0f in the record", c.ID, repeat, r.Number, bytes, want)
				}
				if r.Imbalance != 0 {
					t.Errorf("%s repeat %d record %d: the ledger is out of balance by %d", c.ID, repeat, r.Number, r.Imbalance)
				}
				k++
			}
		}
	}
	return d
}

// complete checks that every cell has every record exactly once.
func complete(t *testing.T, d *result.Data) {
	t.Helper()
	seen := map[string]int{}
	for _, r := range d.Valid() {
		seen[fmt.Sprintf("%s %d %d", r.Cell, r.Repeat, r.Number)]++
	}
	for _, c := range d.Plan.Cells() {
		for repeat := 1; repeat <= d.Plan.Repeats; repeat++ {
			for n := 1; n <= d.Plan.Records; n++ {
				if k := seen[fmt.Sprintf("%s %d %d", c.ID, repeat, n)]; k != 1 {
					t.Errorf("%s repeat %d record %d is there %d times", c.ID, repeat, n, k)
				}
			}
		}
	}
}

func contains(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, text)
		}
	}
}

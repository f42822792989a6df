package experiments

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTuneOnOneMachine(t *testing.T) {
	plan := writePlan(t, "fixed: {format: jpeg, fps: 30, policy: gated}\nfactors:\n  size: [160x120, 320x240]\n  quality: [50, 90]\nwarmup: 50ms\n")
	dir := filepath.Join(t.TempDir(), "tune")
	out := must(t, "tune", plan, "--local", "--min-fps", "15", "--max-latency", "2s", "--record-length", "1s", "--apply", "--out", dir)
	contains(t, "tune", out, "<- best", "-W 320 -H 240 --quality 90 RECEIVER", "runs with these settings now")
	for _, name := range []string{"pareto.svg", "pareto.png", "tune.csv"} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Size() < 100 {
			t.Errorf("%s: %v", name, err)
		}
	}
	status, _, errs := run(t, "tune", plan, "--local", "--min-fps", "900", "--record-length", "1s", "--out", dir)
	if status != 1 {
		t.Errorf("a goal that nothing reaches: exit status %d, %s", status, errs)
	}
	contains(t, "tune", errs, "error: no setting reaches 900 fps", "hint:")
	if status, _, errs := run(t, "tune", "--local", "--prefer", "beauty"); status != 2 {
		t.Errorf("exit status %d, %s", status, errs)
	}
}

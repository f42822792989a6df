//go:build linux && vm

package vm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/experiment/result"
)

// The origin's third experiment on a real driver: each format is what the camera
// really sent, the driver's own size is recorded where it is not the one that was
// asked for, every record is there, and the report can be made.
func TestExperimentOnVivid(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, code, err := machine.Run(ctx, "/bin/framepipe", "experiment", "run", "origin-formats", "--quick", "--records", "2", "--record-length", "1s", "--repeats", "2",
		"--local", "--source", "v4l2:/dev/video0?input=0", "--out", "/host/formats")
	if err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if !strings.Contains(out, "Best setting:") {
		t.Errorf("there is no conclusion:\n%s", out)
	}
	d, err := result.Read(filepath.Join(share, "formats"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, r := range d.Valid() {
		rows[r.Cell]++
		if r.Frames < 3 || r.FPS < 2 || r.Imbalance != 0 || r.Latency == nil {
			t.Errorf("%s repeat %d record %d: %d frames, %.1f fps, out of balance by %d, latency %+v", r.Cell, r.Repeat, r.Number, r.Frames, r.FPS, r.Imbalance, r.Latency)
		}
	}
	sizes := map[string]float64{} // bytes of a pixel of what was sent; 0 = compressed
	for _, v := range d.Visits {
		if v.Event != result.Begun {
			continue
		}
		if v.Got.Format != v.Cell || v.Got.Width == 0 || v.Got.Error != "" {
			t.Errorf("%s: the camera answered %+v", v.Cell, v.Got)
		}
		if v.Got.Width != 320 || v.Got.Height != 240 {
			if !strings.Contains(strings.Join(v.Differs, "; "), "size 320x240 was asked for") {
				t.Errorf("%s: %dx%d instead of 320x240 is not said: %v", v.Cell, v.Got.Width, v.Got.Height, v.Differs)
			}
		}
		sizes[v.Cell] = map[string]float64{"yuv": 1.5, "rgb": 3}[v.Cell] * float64(v.Got.Width) * float64(v.Got.Height)
		for _, row := range d.Valid() {
			if want := sizes[v.Cell]; row.Cell == v.Cell && want > 0 && row.MeanSize != want {
				t.Errorf("%s: frames of %.0f bytes, want %.0f", row.Cell, row.MeanSize, want)
			}
		}
	}
	for _, cell := range []string{"jpeg", "yuv", "rgb"} {
		if rows[cell] != 4 {
			t.Errorf("%s has %d records, want 4", cell, rows[cell])
		}
	}
	if !strings.Contains(string(d.Manifest.Camera), "vivid") || len(d.Manifest.CameraSide) == 0 {
		t.Errorf("the manifest does not know the camera: %s", d.Manifest.Camera)
	}
	page, err := os.ReadFile(filepath.Join(share, "formats", "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "Best setting", "rgb", "vivid"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

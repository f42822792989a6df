package report

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"framepipe/experiment/plan"
	"framepipe/experiment/result"
)

func copyFolder(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A folder of an older version has fewer columns and files, and columns that this
// one does not know.
func TestFolderOfAnOlderVersion(t *testing.T) {
	dir := copyFolder(t, "testdata/older")
	a, err := Make(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Findings) == 0 || !strings.HasPrefix(a.Findings[0], "Sequence") || !strings.Contains(a.Findings[0], "5.0 fps more than continuous") {
		t.Errorf("findings %q", a.Findings)
	}
	if !a.Complete || a.Cells[a.Best].ID != "sequence" || a.Command != "framepipe send --mode sequence RECEIVER" {
		t.Errorf("complete %v, best %d, %q", a.Complete, a.Best, a.Command)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("<svg")) || bytes.Contains(page, []byte("NaN")) || bytes.Contains(page, []byte("ZgotmplZ")) {
		t.Error("the page has no figures, or what must not be shown")
	}
	names, _ := filepath.Glob(filepath.Join(dir, "figures", "*.png"))
	for _, n := range names {
		f, err := os.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if c, err := png.DecodeConfig(f); err != nil || c.Width < 800 {
			t.Errorf("%s: %+v, %v", n, c, err)
		}
	}
	if len(names) < 3 {
		t.Errorf("figures: %v", names)
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary-sequence-1.txt"))
	if err != nil || string(summary) != "nbr_images, elapsed(sec), avg_img_size\n281, 10.000, 67621\n279, 10.000, 67500\n280, 10.000, 67800\n" {
		t.Errorf("summary %q, %v", summary, err)
	}
}

func TestFolderOfANewerVersion(t *testing.T) {
	dir := copyFolder(t, "testdata/older")
	if err := os.WriteFile(filepath.Join(dir, result.ManifestFile), []byte(`{"format": 99, "software": "framepipe 9"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(dir); err == nil || !strings.Contains(err.Error(), "framepipe 9") {
		t.Errorf("error %v", err)
	}
}

// A folder in which nothing was measured yet has a page too.
func TestEmptyFolder(t *testing.T) {
	p, _, err := plan.Preset("origin", true)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := result.Create(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	a, err := Make(dir)
	if err != nil || a.Best >= 0 || a.Complete {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestConditions(t *testing.T) {
	for text, ok := range map[string]bool{"fps < -5%": true, "latency-p50 > 10 %": true, "age-p99>20": true, "fps": false, "speed < 3": false, "fps < x": false, "fps <= 3": false, "fps < -": false, "lost > .": false} {
		if _, err := ParseCondition(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	dir := copyFolder(t, "testdata/older")
	slower := copyFolder(t, "testdata/older")
	b, err := os.ReadFile(filepath.Join(slower, result.RecordsFile))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(",28.1,", ",25.1,", ",27.9,", ",24.9,", ",28,", ",25,", ",28.2,", ",25.2,", ",27.8,", ",24.8,").Replace(string(b))
	if err := os.WriteFile(filepath.Join(slower, result.RecordsFile), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	load := func(dir string) *Analysis {
		a, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	v, err := Compare(load(dir), load(slower))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"fps < -5%": 1, "fps < -20%": 0, "fps > 5%": 0, "fps < -2": 1, "frame-bytes > 1%": 0} {
		c, err := ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Failures(c); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
	if v, err = Compare(load(slower), load(dir)); err != nil {
		t.Fatal(err)
	}
	c, _ := ParseCondition("fps < -5%")
	if got := v.Failures(c); len(got) != 0 {
		t.Errorf("an improvement fails: %q", got)
	}
}

func TestNum(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0", 28.04: "28.0", 0.03: "0.03", -0.001: "0.0", 123.4: "123", 230400: "230,400", -1234567: "-1,234,567", 9999: "9999"} {
		if got := num(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
	p, err := plan.Parse("p", []byte("fixed: {size: 640x480, port: still}\nfactors:\n  control.gain: [3]\n  policy: [deadline=80ms]\n"))
	if err != nil {
		t.Fatal(err)
	}
	cells := p.Cells()
	if got, want := Command(&cells[0], "pattern?noise=3"), "framepipe send --source 'pattern?noise=3' -W 640 -H 480 --camera-port still --control gain=3 --policy deadline=80ms RECEIVER"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"framepipe/capture"
	"framepipe/experiment/plan"
	"framepipe/wire"
)

// A camera gets back what the plan changes of it, and nothing else is touched.
func TestRestoring(t *testing.T) {
	controls, err := json.Marshal([]capture.Control{{Name: "gain", Value: 4}, {Name: "focus", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	was := &wire.StateText{Mode: "sequence", Port: "video", Format: "jpeg", Width: 640, Height: 480, FPS: 30, Quality: 85, Policy: "gated", Congestion: "bbr", Controls: controls}
	for text, want := range map[string]string{
		"fixed: {mode: continuous}":                               `{"mode":"sequence"}`,
		"fixed: {size: 320x240}\nfactors: {fps: [10, 20]}":        `{"width":640,"height":480,"fps":30}`,
		"factors: {format: [yuv, rgb], quality: [1, 2]}":          `{"format":"jpeg","quality":85}`,
		"factors: {policy: [block], congestion: [cubic]}":         `{"policy":"gated","congestion":"bbr"}`,
		"factors: {control.gain: [1, 2]}":                         `{"controls":{"gain":4}}`,
		"factors: {control.nosuch: [1, 2]}\nfixed: {port: still}": `{"port":"video"}`,
	} {
		p, err := plan.Parse("p", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(restoring(p, was))
		if err != nil || string(b) != want {
			t.Errorf("%s: %s, %v; want %s", text, b, err, want)
		}
	}
}

// Names from addresses reach nothing but result folders.
func TestOnlyResultFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"good", ".hidden", "other", "outside"} {
		if err := os.MkdirAll(filepath.Join(dir, "lab", name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"lab/good/plan.yaml", "lab/.hidden/plan.yaml", "plan.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("fixed: {mode: sequence}\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(dir, "lab", "link")); err != nil {
		t.Fatal(err)
	}
	m := &Manager{Dir: filepath.Join(dir, "lab")}
	for id, want := range map[string]bool{"good": true, "other": false, ".hidden": false, "..": false, ".": false, "": false, "nosuch": false, "good/../good": false, "link": false} {
		root, err := m.Root(id)
		if (err == nil) != want {
			t.Errorf("%q: %v, want %v", id, err, want)
		}
		if err == nil {
			root.Close()
		}
		if st, err := m.Status(id, 0); (err == nil) != want {
			t.Errorf("%q: %+v, %v", id, st, err)
		}
	}
	if list := m.List(); len(list) != 1 || list[0].ID != "good" || list[0].State != Stopped {
		t.Errorf("%+v", list)
	}
}

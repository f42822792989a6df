package experiment

import (
	"encoding/json"
	"strings"
	"testing"

	"framepipe/capture"
	"framepipe/wire"
)

func ptr[T any](v T) *T { return &v }

// What a camera answers otherwise than it was asked is noticed, and nothing else.
func TestDiffers(t *testing.T) {
	controls, err := json.Marshal([]capture.Control{{Name: "gain", Value: 4}, {Name: "focus", Value: 1}})
	if err != nil {
		t.Fatal(err)
	}
	got := wire.StateText{Mode: "sequence", Port: "video", Format: "jpeg", Width: 320, Height: 240, FPS: 30, Quality: 85, Policy: "gated", Congestion: "bbr", Controls: controls}
	for _, tc := range []struct {
		name string
		set  wire.Settings
		want string
	}{
		{"nothing asked", wire.Settings{}, ""},
		{"all as asked", wire.Settings{Mode: ptr("seq"), Port: ptr("1"), Format: ptr("jpeg"), Width: ptr(320), Height: ptr(240), FPS: ptr(30.0), Quality: ptr(85), Policy: ptr("gated"), Congestion: ptr("bbr"), Controls: map[string]int64{"gain": 4}}, ""},
		{"rounded rate", wire.Settings{FPS: ptr(29.97)}, ""},
		{"system's congestion control", wire.Settings{Congestion: ptr("system")}, ""},
		{"mode", wire.Settings{Mode: ptr("continuous")}, "mode continuous was asked for, sequence is what it does"},
		{"port", wire.Settings{Port: ptr("still")}, "port still"},
		{"format", wire.Settings{Format: ptr("rgb")}, "format rgb"},
		{"size", wire.Settings{Width: ptr(640), Height: ptr(480)}, "size 640x480 was asked for, 320x240 is what it does"},
		{"rate", wire.Settings{FPS: ptr(60.0)}, "frame rate 60"},
		{"quality", wire.Settings{Quality: ptr(50)}, "quality 50"},
		{"policy", wire.Settings{Policy: ptr("block")}, "policy block"},
		{"congestion", wire.Settings{Congestion: ptr("cubic")}, "congestion control cubic"},
		{"control", wire.Settings{Controls: map[string]int64{"gain": 9}}, "control gain 9 was asked for, 4 is what it does"},
	} {
		d := strings.Join(differs(tc.set, got), "; ")
		if (tc.want == "") != (d == "") || !strings.Contains(d, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, d, tc.want)
		}
	}
}

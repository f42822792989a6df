//go:build vmguest

package guest

import (
	"strings"
	"testing"

	"framepipe/capture"
	"framepipe/capture/v4l2src"
)

func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		cfg        capture.Config
		config     bool
		text       string
	}{
		{"no such device", "/dev/video77", capture.Config{}, true, "no such device"},
		{"not a camera", "/dev/null", capture.Config{}, true, "QUERYCAP"},
		{"no such input", "/dev/video0?input=9", capture.Config{}, false, "VIDIOC_S_INPUT 9"},
		{"unknown parameter", "/dev/video0?inptu=0", capture.Config{}, true, "inptu"},
		{"no such control", vivid, capture.Config{Controls: map[string]int64{"brightnes": 1}}, true, "no such control"},
		{"control out of range", vivid, capture.Config{Controls: map[string]int64{"brightness": 1000}}, true, "from 0 to 255"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := v4l2src.Open(t.Context(), tc.path, tc.cfg)
			if err == nil || capture.IsConfig(err) != tc.config || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v (config %v)", err, capture.IsConfig(err))
			}
			t.Logf("%v; hint: %s", err, capture.Hint(err))
		})
	}
}

func TestControls(t *testing.T) {
	c := open(t, vivid, capture.Config{Width: 320, Height: 180, Controls: map[string]int64{"brightness": 7}})
	value := func(name string) capture.Control {
		all, err := c.Controls()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if k.Name == name {
				return k
			}
		}
		t.Fatalf("no control %s", name)
		return capture.Control{}
	}
	if v := value("brightness"); v.Value != 7 || v.Default != 128 || v.Max != 255 || v.Label != "Brightness" {
		t.Errorf("%+v", v)
	}
	for name, want := range map[string]int64{"contrast": 99, "horizontal_flip": 1, "integer_64_bits": 1 << 40, "test_pattern": 3, "integer_menu": 4} {
		v, err := c.SetControl(name, want)
		if err != nil || v != want || value(name).Value != want {
			t.Errorf("%s=%d gives %d, reads %d: %v", name, want, v, value(name).Value, err)
		}
	}
	if m := value("test_pattern"); m.Type != "menu" || len(m.Menu) < 5 || m.Menu[0].Label == "" {
		t.Errorf("%+v", m)
	}
	if m := value("integer_menu"); m.Type != "menu" || len(m.Menu) != 7 || // index 1 is a hole
		m.Menu[0].Value != 2 || m.Menu[0].Label != "2" || m.Menu[6].Label != "42" {
		t.Errorf("%+v", m)
	}
	for name, v := range map[string]int64{"contrast": 128, "horizontal_flip": 0, "integer_64_bits": 0, "test_pattern": 0, "brightness": 128} {
		if _, err := c.SetControl(name, v); err != nil {
			t.Error(err)
		}
	}
}

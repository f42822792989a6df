package browser

import (
	"context"
	"fmt"
	"slices"

	"framepipe/capture"
	"framepipe/capture/pattern"
)

// webcam is a synthetic camera that offers what the driver of a USB camera (uvcvideo)
// typically does: all kinds of controls, one of which is at rest while another rules.
type webcam struct {
	capture.Camera
	controls []capture.Control
	pressed  int
}

func openWebcam(ctx context.Context, source string, cfg capture.Config) (capture.Camera, error) {
	cam, err := pattern.Open(ctx, source, cfg)
	if err != nil {
		return nil, err
	}
	return &webcam{Camera: cam, controls: []capture.Control{
		{Name: "brightness", Label: "Brightness", Type: "int", Min: -64, Max: 64, Step: 4, Default: 0},
		{Name: "white_balance_automatic", Label: "White Balance, Automatic", Type: "bool", Max: 1, Step: 1, Default: 1, Value: 1},
		{Name: "auto_exposure", Label: "Auto Exposure", Type: "menu", Max: 3, Default: 3, Value: 3, Menu: []capture.MenuItem{{Value: 1, Label: "Manual Mode"}, {Value: 3, Label: "Aperture Priority Mode"}}},
		{Name: "exposure_time_absolute", Label: "Exposure Time, Absolute", Type: "int", Min: 3, Max: 2047, Step: 1, Default: 250, Value: 250, Flags: []string{"inactive"}},
		{Name: "reset", Label: "Reset", Type: "button"},
	}}, nil
}

func (w *webcam) Info() capture.Info {
	i := w.Camera.Info()
	i.Sizes = []capture.Size{{Width: 320, Height: 240, FPS: []float64{60, 30}}, {Width: 640, Height: 480, FPS: []float64{30, 15, 7.5}}}
	return i
}

func (w *webcam) Controls() ([]capture.Control, error) { return slices.Clone(w.controls), nil }

func (w *webcam) SetControl(name string, v int64) (int64, error) {
	i := slices.IndexFunc(w.controls, func(c capture.Control) bool { return c.Name == name })
	switch {
	case i < 0:
		return 0, fmt.Errorf("no control %q", name)
	case w.controls[i].Type == "button":
		w.pressed++
		w.controls[0].Value = 0
		return 0, nil
	case name == "brightness":
		v -= v % 4 // as the driver rounds
	case name == "auto_exposure":
		w.controls[i+1].Flags = nil
		if v == 3 {
			w.controls[i+1].Flags = []string{"inactive"}
		}
	}
	w.controls[i].Value = v
	return v, nil
}

package v4l2src

import "framepipe/capture"

// DeviceInfo is a capture device and all that it offers.
type DeviceInfo struct {
	Path     string            `json:"path"`
	Name     string            `json:"name"`
	Driver   string            `json:"driver"`
	Bus      string            `json:"bus"`
	Usable   bool              `json:"usable"`          // offers a format that framepipe can use
	Error    string            `json:"error,omitempty"` // why there is nothing more to say
	Formats  []FormatInfo      `json:"formats,omitempty"`
	Controls []capture.Control `json:"controls,omitempty"`
}

// FormatInfo is a pixel format with its sizes.
type FormatInfo struct {
	FourCC      string     `json:"fourcc"`
	Description string     `json:"description"`
	Word        string     `json:"format,omitempty"` // as in --format; empty if it cannot be used
	Sizes       []SizeInfo `json:"sizes,omitempty"`
}

// SizeInfo is a size, or a range from Min to Width x Height, with its rates.
type SizeInfo struct {
	Width     int       `json:"width"`
	Height    int       `json:"height"`
	MinWidth  int       `json:"min_width,omitempty"`
	MinHeight int       `json:"min_height,omitempty"`
	FPS       []float64 `json:"fps,omitempty"`     // highest first
	MinFPS    float64   `json:"min_fps,omitempty"` // with one FPS: the range's other end
}

// Identity is what stays the same when a camera is plugged in again and gets
// another number.
type Identity struct {
	Name   string
	Driver string
	Bus    string // the port, so two cameras of one make can be told apart
}

// Package capture says what a camera is to the rest of the program: something
// that is opened with a wish (Config), tells what it really gives (Info), and
// hands over its newest frame whenever it is asked (Camera). The cameras
// themselves are in the packages below this one; package capture/open chooses
// among them by name.
//
// Frames are pulled, not pushed: Next is called when the consumer is ready, and
// what that means for the frames in between is the capture mode, as in the
// origin's experiment (see Mode). A camera therefore needs no queue of its own
// beyond what its driver demands.
package capture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"framepipe/frame"
)

// Mode is how frames are asked for.
type Mode uint8

const (
	// Sequence runs the camera through: while one frame is being sent, the next
	// is being captured, and Next returns the newest one that is ready.
	Sequence Mode = iota
	// Continuous asks for one frame at a time: capture begins when Next is
	// called, and the sensor's frames in between are missed.
	Continuous
)

func (m Mode) String() string {
	if m == Continuous {
		return "continuous"
	}
	return "sequence"
}

// ParseMode reads what String writes.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "sequence", "seq":
		return Sequence, nil
	case "continuous", "cont":
		return Continuous, nil
	}
	return 0, fmt.Errorf("unknown capture mode %q: use sequence or continuous", s)
}

// Port is which of the camera's two ways of taking pictures is used.
type Port uint8

const (
	// Video keeps the sensor in its video mode: fast.
	Video Port = iota
	// Still switches the sensor to its largest mode for each frame and back,
	// and scales the picture down to the asked size: slow, best quality.
	Still
)

func (p Port) String() string {
	if p == Still {
		return "still"
	}
	return "video"
}

// ParsePort reads what String writes, and the origin's 1 and 0.
func ParsePort(s string) (Port, error) {
	switch s {
	case "video", "1":
		return Video, nil
	case "still", "0":
		return Still, nil
	}
	return 0, fmt.Errorf("unknown camera port %q: use video (1) or still (0)", s)
}

// Config is what is asked of a camera. The zero value asks for whatever the
// camera prefers.
type Config struct {
	Width, Height int          // pixels; 0 = the camera's choice
	FPS           float64      // frames per second; 0 = as fast as the camera offers at this size
	Format        frame.FourCC // what will be sent; the camera picks the native format from which that is cheapest to make. 0 = JPEG
	Quality       int          // JPEG quality 1..100 for cameras that compress themselves; 0 = 85
	Mode          Mode
	Port          Port
	Controls      map[string]int64 // driver controls by name, applied after the format
}

// Info is what a camera really gives, read back after it was opened.
type Info struct {
	Source    string            `json:"source"`           // as it could be given to --source
	Name      string            `json:"name"`             // the device's own name ("HD Pro Webcam C920")
	Driver    string            `json:"driver,omitempty"` // kernel driver or program
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	FPS       float64           `json:"fps"`    // nominal; 0 = unknown
	Format    string            `json:"format"` // native format, as FourCC.Word
	Mode      string            `json:"mode"`
	Port      string            `json:"port"`
	StampKind string            `json:"stamp_kind"`
	Sizes     []Size            `json:"sizes,omitempty"`     // what the driver offers, the smallest first; none = it does not say, or takes any
	Simulated map[string]string `json:"simulated,omitempty"` // parameters of a synthetic camera that stand for physics, by name, with their values
	Notes     []string          `json:"notes,omitempty"`     // what differs from what was asked, and why
}

// Size is a size that a camera offers, in pixels, with its frame rates, the highest
// first; none = unknown. Of a range, its two ends.
type Size struct {
	Width  int       `json:"width"`
	Height int       `json:"height"`
	FPS    []float64 `json:"fps,omitempty"`
}

// Control is one thing that can be set while the camera runs.
type Control struct {
	Name    string     `json:"name"`  // lower case with underscores, as v4l2-ctl prints it
	Label   string     `json:"label"` // the driver's own wording
	Type    string     `json:"type"`  // int, bool, menu, button
	Min     int64      `json:"min"`
	Max     int64      `json:"max"`
	Step    int64      `json:"step"`
	Default int64      `json:"default"`
	Value   int64      `json:"value"`
	Menu    []MenuItem `json:"menu,omitempty"`
	Flags   []string   `json:"flags,omitempty"` // read-only, inactive, volatile
}

// MenuItem is one choice of a menu control.
type MenuItem struct {
	Value int64  `json:"value"`
	Label string `json:"label"`
}

// Camera is an open camera. Next, SetControl and Close are called by one
// goroutine at a time; Info and Controls too. Frames may be released on any
// goroutine and even after Close.
type Camera interface {
	// Next returns a frame, waiting for one if none is ready; which one is a
	// matter of the mode that the camera was opened with. The caller owns it.
	//
	// The frame's Seq counts from 1 since the camera was opened and its
	// Counts.Offered equals Seq; Counts.Lost holds what the camera knows of
	// (gaps, driver errors, corrupt frames, frames passed over because a newer
	// one was ready), so that Offered - 1 - sum(Lost) is the number of frames
	// returned before this one. Its Captured, Dequeued and StampKind are set.
	//
	// The error is ctx.Err() when ctx ends, io.EOF at the ordinary end of a
	// finite source, one that wraps ErrGone when the device went away and may
	// come back, and otherwise final.
	Next(ctx context.Context) (*frame.Frame, error)

	// Info is what the camera really gives.
	Info() Info

	// Controls lists what can be set, with current values.
	Controls() ([]Control, error)

	// SetControl sets one control and returns what the camera made of it.
	SetControl(name string, value int64) (int64, error)

	// Close stops the camera and frees what it holds. Next must not be called
	// any more.
	Close() error
}

// Direct is a Camera that reads frames on a goroutine of its own, and can have the work
// of who waits for them done there, so that nobody need be woken.
type Direct interface {
	Camera

	// Direct has now called with each frame that comes while Next waits. What it
	// reports true for is its own, counts as returned, and Next goes on waiting; what it
	// refuses is Next's. It must not use the camera, nor take longer than two milliseconds,
	// in which nothing is read. Next does not return while it runs. Direct is called by
	// Next's goroutine; nil ends it.
	Direct(now func(*frame.Frame) bool)
}

// ErrGone is wrapped by errors that say the camera went away (unplugged, its
// process died, the HTTP camera hung up): trying to open it again makes sense.
var ErrGone = errors.New("camera gone")

// Error is a failure with what a person needs to mend it.
type Error struct {
	Op     string // what was tried: "open /dev/video0"
	Err    error  // why it failed
	Hint   string // what to do; may be empty
	Config bool   // the request was at fault (unknown source, unsupported size), not the device
}

func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Hint returns the advice that err carries, or "".
func Hint(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}

// IsConfig reports whether err is the request's fault rather than the device's.
func IsConfig(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Config
}

// DefaultQuality is the JPEG quality where none is asked for: picamera's, and so
// the origin's.
const DefaultQuality = 85

// DefaultWarmup is how long a real camera runs before its first frame counts, so
// that exposure and white balance settle; the origin's two seconds.
const DefaultWarmup = 2 * time.Second

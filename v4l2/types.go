package v4l2

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// FourCC is a pixel format code (V4L2_PIX_FMT_*), first character lowest.
type FourCC uint32

// MakeFourCC builds a code from its four characters; shorter strings are padded
// with blanks, as in V4L2_PIX_FMT_Y16 ("Y16 ").
func MakeFourCC(s string) FourCC {
	b := [4]byte{' ', ' ', ' ', ' '}
	copy(b[:], s)
	return FourCC(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
}

func (f FourCC) String() string {
	b := []byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f>>24) & 0x7f}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return fmt.Sprintf("0x%08x", uint32(f))
		}
	}
	s := strings.TrimRight(string(b), " ")
	if f&(1<<31) != 0 {
		s += "-BE"
	}
	return s
}

// Capability bits (struct v4l2_capability).
const (
	CapVideoCapture       = 0x00000001
	CapVideoOutput        = 0x00000002
	CapVideoCaptureMPlane = 0x00001000
	CapVideoM2MMPlane     = 0x00004000
	CapVideoM2M           = 0x00008000
	CapMetaCapture        = 0x00800000
	CapReadWrite          = 0x01000000
	CapStreaming          = 0x04000000
	CapDeviceCaps         = 0x80000000
)

// Capability is the answer to VIDIOC_QUERYCAP.
type Capability struct {
	Driver  string // "uvcvideo"
	Card    string // "HD Pro Webcam C920"
	Bus     string // "usb-0000:01:00.0-1.3"
	Version uint32 // KERNEL_VERSION form
	Caps    uint32 // of this node where the driver tells (device_caps), else of the whole device
}

// IsCapture reports whether frames can be streamed from this node: not a
// metadata or output node, and not one end of a memory-to-memory codec.
func (c Capability) IsCapture() bool {
	return c.Caps&(CapVideoCapture|CapVideoCaptureMPlane) != 0 &&
		c.Caps&(CapVideoM2M|CapVideoM2MMPlane) == 0 && c.Caps&CapStreaming != 0
}

// Input is one of the device's video inputs.
type Input struct {
	Index  int
	Name   string
	Status uint32 // V4L2_IN_ST_*; 0 = a signal is there, as far as the driver knows
}

// Format description flags (struct v4l2_fmtdesc).
const (
	FmtFlagCompressed = 0x0001
	FmtFlagEmulated   = 0x0002
)

// FormatDesc is one pixel format that the device offers.
type FormatDesc struct {
	PixelFormat FourCC
	Description string
	Flags       uint32
}

// FrameSize is a size, or a range of sizes, that the device offers for a pixel
// format. For a discrete size minimum and maximum are equal and the steps 0.
type FrameSize struct {
	MinWidth, MaxWidth, StepWidth    int
	MinHeight, MaxHeight, StepHeight int
}

// Discrete reports whether this is one size.
func (s FrameSize) Discrete() bool { return s.StepWidth == 0 && s.StepHeight == 0 }

func (s FrameSize) String() string {
	if s.Discrete() {
		return fmt.Sprintf("%dx%d", s.MaxWidth, s.MaxHeight)
	}
	return fmt.Sprintf("%dx%d..%dx%d step %dx%d", s.MinWidth, s.MinHeight, s.MaxWidth, s.MaxHeight, s.StepWidth, s.StepHeight)
}

// Nearest is the size in this range that is nearest to w x h.
func (s FrameSize) Nearest(w, h int) (int, int) {
	return nearest(w, s.MinWidth, s.MaxWidth, s.StepWidth), nearest(h, s.MinHeight, s.MaxHeight, s.StepHeight)
}

func nearest(v, lo, hi, step int) int {
	if v <= lo {
		return lo
	}
	if v >= hi {
		return hi
	}
	if step > 1 {
		v = lo + (v-lo+step/2)/step*step
		if v > hi {
			v -= step
		}
	}
	return v
}

// Fraction is a time per frame in seconds.
type Fraction struct{ Num, Den uint32 }

// FPS is the frame rate for a time per frame; 0 where unknown.
func (f Fraction) FPS() float64 {
	if f.Num == 0 || f.Den == 0 {
		return 0
	}
	return float64(f.Den) / float64(f.Num)
}

// Duration is the time per frame; 0 where unknown.
func (f Fraction) Duration() time.Duration {
	if f.Num == 0 || f.Den == 0 {
		return 0
	}
	return time.Duration(float64(f.Num) / float64(f.Den) * float64(time.Second))
}

// Interval is a time per frame, or a range of them, that the device offers for
// a format and size. Min is the shortest, so the highest frame rate.
type Interval struct {
	Min, Max, Step Fraction
	Discrete       bool
}

// Colorspace and Quantization are V4L2_COLORSPACE_* and V4L2_QUANTIZATION_*.
type (
	Colorspace   uint32
	Quantization uint32
)

var colorspaces = [...]string{"default", "smpte170m", "smpte240m", "rec709", "bt878", "470m", "470bg", "jpeg", "srgb", "oprgb", "bt2020", "raw", "dci-p3"}

func (c Colorspace) String() string {
	if int(c) < len(colorspaces) {
		return colorspaces[c]
	}
	return fmt.Sprintf("colorspace-%d", uint32(c))
}

func (q Quantization) String() string {
	switch q {
	case 0:
		return "default"
	case 1:
		return "full"
	case 2:
		return "limited"
	}
	return fmt.Sprintf("quantization-%d", uint32(q))
}

// Format is what G/S/TRY_FMT carry, for a picture in one plane of memory or,
// multi-planar, its first plane.
type Format struct {
	Width, Height int
	PixelFormat   FourCC
	Field         uint32 // V4L2_FIELD_*; 1 = progressive
	BytesPerLine  int    // stride of the first plane; 0 for compressed formats
	SizeImage     int    // the most that one frame can take
	Planes        int    // memory planes; 1 unless multi-planar
	Colorspace    Colorspace
	Quantization  Quantization
	YCbCrEnc      uint32
	XferFunc      uint32
}

// FullRange reports whether luma and chroma use all of 0 to 255, as JPEG has it,
// rather than 16 to 235 and 240: what the driver says, or where it leaves that to
// the default, what V4L2_MAP_QUANTIZATION_DEFAULT makes of it. Drivers are often
// wrong.
func (f Format) FullRange() bool {
	switch f.Quantization {
	case 1:
		return true
	case 2:
		return false
	}
	switch f.PixelFormat {
	case MakeFourCC("RGB3"), MakeFourCC("BGR3"), MakeFourCC("MJPG"), MakeFourCC("JPEG"):
		return true
	}
	return f.Colorspace == 7 // JPEG
}

// Interlaced reports whether a buffer holds two fields, or one of two.
func (f Format) Interlaced() bool { return f.Field > 1 }

func (f Format) String() string {
	return fmt.Sprintf("%v %dx%d bytesperline %d sizeimage %d colorspace %v quantization %v",
		f.PixelFormat, f.Width, f.Height, f.BytesPerLine, f.SizeImage, f.Colorspace, f.Quantization)
}

// DeviceInfo names a device node.
type DeviceInfo struct {
	Path string
	Name string // /sys/class/video4linux/*/name
	Capability
}

// Error is a request that the driver or the kernel refused.
type Error struct {
	Op   string // "VIDIOC_S_FMT YUYV 640x480"
	Path string
	Err  error
}

func (e *Error) Error() string { return e.Op + " on " + e.Path + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errors of Stream.Wait that are not the driver's.
var (
	ErrStopped = errors.New("v4l2: streaming stopped")
	// ErrPoll: the driver's poll reports an error condition; the queue is
	// unusable until streaming is started anew, or the device is gone.
	ErrPoll = errors.New("v4l2: poll reports an error on the device")
	// ErrUnsupported is returned on systems without V4L2.
	ErrUnsupported = errors.New("v4l2: not supported on this system")
)

//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds on what a driver can make us enumerate.
const (
	maxInputs    = 64
	maxFormats   = 128
	maxSizes     = 256
	maxIntervals = 128
	maxControls  = 512
	maxMenu      = 256
)

// Device is an open device node.
type Device struct {
	fd      int
	path    string
	cap     Capability
	bufType uint32
}

// Open opens a node that can capture and asks for its capabilities.
func Open(path string) (*Device, error) {
	fd, err := open(path)
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Err: err}
	}
	d := &Device{fd: fd, path: path, bufType: bufTypeCapture}
	d.cap, err = queryCap(fd)
	if err != nil {
		unix.Close(fd)
		return nil, &Error{Op: "VIDIOC_QUERYCAP", Path: path, Err: err}
	}
	if d.cap.Caps&CapVideoCapture == 0 && d.cap.Caps&CapVideoCaptureMPlane != 0 {
		d.bufType = bufTypeCaptureMPlane
	}
	return d, nil
}

func open(path string) (int, error) {
	for range 100 {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
	return -1, unix.EINTR
}

func queryCap(fd int) (Capability, error) {
	var c rawCapability
	if err := ioctl(fd, vidiocQueryCap, unsafe.Pointer(&c)); err != nil {
		return Capability{}, err
	}
	caps := c.Caps
	if caps&CapDeviceCaps != 0 {
		caps = c.DevCaps
	}
	return Capability{Driver: cstr(c.Driver[:]), Card: cstr(c.Card[:]), Bus: cstr(c.Bus[:]), Version: c.Version, Caps: caps}, nil
}

// Close closes the node. Mappings of a Stream that are still held stay valid.
func (d *Device) Close() error { return unix.Close(d.fd) }

// Path is what the device was opened as.
func (d *Device) Path() string { return d.path }

// Capability is what the device said when it was opened.
func (d *Device) Capability() Capability { return d.cap }

// MPlane reports whether the multi-planar API is in use.
func (d *Device) MPlane() bool { return d.bufType == bufTypeCaptureMPlane }

// Alive asks the device something harmless: nil, or why it does not answer
// (ENODEV once it is unplugged).
func (d *Device) Alive() error {
	_, err := queryCap(d.fd)
	return d.wrap("VIDIOC_QUERYCAP", err)
}

func (d *Device) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Path: d.path, Err: err}
}

// ended reports whether an enumeration came to its end: EINVAL by the book,
// ENOTTY where the driver does not know the request, ENODATA in some.
func ended(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENODATA)
}

// Inputs lists the device's inputs; most cameras have one.
func (d *Device) Inputs() ([]Input, error) {
	var out []Input
	for i := range uint32(maxInputs) {
		r := rawInput{Index: i}
		if err := ioctl(d.fd, vidiocEnumInput, unsafe.Pointer(&r)); err != nil {
			if ended(err) {
				break
			}
			return out, d.wrap("VIDIOC_ENUMINPUT", err)
		}
		out = append(out, Input{Index: int(i), Name: cstr(r.Name[:]), Status: r.Status})
	}
	return out, nil
}

// Input is the selected input's index.
func (d *Device) Input() (int, error) {
	var v int32
	err := ioctl(d.fd, vidiocGInput, unsafe.Pointer(&v))
	return int(v), d.wrap("VIDIOC_G_INPUT", err)
}

// SetInput selects an input.
func (d *Device) SetInput(i int) error {
	v := int32(i)
	return d.wrap(fmt.Sprintf("VIDIOC_S_INPUT %d", i), ioctl(d.fd, vidiocSInput, unsafe.Pointer(&v)))
}

// Formats lists the pixel formats on offer.
func (d *Device) Formats() ([]FormatDesc, error) {
	var out []FormatDesc
	for i := range uint32(maxFormats) {
		r := rawFmtDesc{Index: i, Type: d.bufType}
		if err := ioctl(d.fd, vidiocEnumFmt, unsafe.Pointer(&r)); err != nil {
			if ended(err) {
				break
			}
			return out, d.wrap("VIDIOC_ENUM_FMT", err)
		}
		out = append(out, FormatDesc{PixelFormat: FourCC(r.PixelFormat), Description: cstr(r.Description[:]), Flags: r.Flags})
	}
	return out, nil
}

// FrameSizes lists the sizes on offer for a pixel format; empty if the driver
// does not say.
func (d *Device) FrameSizes(f FourCC) ([]FrameSize, error) {
	var out []FrameSize
	for i := range uint32(maxSizes) {
		r := rawFrmSizeEnum{Index: i, PixelFormat: uint32(f)}
		if err := ioctl(d.fd, vidiocEnumFrmSizes, unsafe.Pointer(&r)); err != nil {
			if ended(err) {
				break
			}
			return out, d.wrap("VIDIOC_ENUM_FRAMESIZES", err)
		}
		s := r.Size
		if r.Type == 1 {
			w, h := int(s[0]), int(s[1])
			out = append(out, FrameSize{MinWidth: w, MaxWidth: w, MinHeight: h, MaxHeight: h})
			continue
		}
		out = append(out, FrameSize{
			MinWidth: int(s[0]), MaxWidth: int(s[1]), StepWidth: max(int(s[2]), 1),
			MinHeight: int(s[3]), MaxHeight: int(s[4]), StepHeight: max(int(s[5]), 1)})
		break // a range is always the only entry
	}
	return out, nil
}

// Intervals lists the frame intervals on offer for a format and size; empty if
// the driver does not say.
func (d *Device) Intervals(f FourCC, width, height int) ([]Interval, error) {
	var out []Interval
	for i := range uint32(maxIntervals) {
		r := rawFrmIvalEnum{Index: i, PixelFormat: uint32(f), Width: uint32(width), Height: uint32(height)}
		if err := ioctl(d.fd, vidiocEnumFrmIvals, unsafe.Pointer(&r)); err != nil {
			if ended(err) {
				break
			}
			return out, d.wrap("VIDIOC_ENUM_FRAMEINTERVALS", err)
		}
		if r.Type == 1 {
			out = append(out, Interval{Min: r.Ival[0], Max: r.Ival[0], Discrete: true})
			continue
		}
		out = append(out, Interval{Min: r.Ival[0], Max: r.Ival[1], Step: r.Ival[2]})
		break
	}
	return out, nil
}

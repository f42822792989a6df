//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"errors"
	"fmt"
	"runtime"
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

// Format is the format now set.
func (d *Device) Format() (Format, error) {
	r := rawFormat{Type: d.bufType}
	if err := ioctl(d.fd, vidiocGFmt, unsafe.Pointer(&r)); err != nil {
		return Format{}, d.wrap("VIDIOC_G_FMT", err)
	}
	return d.decode(&r), nil
}

// SetFormat asks for a format and returns what the driver made of it, which may
// differ in every field. Drivers may change the frame interval with it: set that
// afterwards.
func (d *Device) SetFormat(f Format) (Format, error) {
	return d.setFormat("VIDIOC_S_FMT", vidiocSFmt, f)
}

// TryFormat is SetFormat without consequences.
func (d *Device) TryFormat(f Format) (Format, error) {
	return d.setFormat("VIDIOC_TRY_FMT", vidiocTryFmt, f)
}

func (d *Device) setFormat(op string, req uintptr, f Format) (Format, error) {
	r := rawFormat{Type: d.bufType}
	if d.MPlane() {
		p := (*rawPixFormatMPlane)(unsafe.Pointer(&r.Raw))
		p.Width, p.Height, p.PixelFormat, p.Field = uint32(f.Width), uint32(f.Height), uint32(f.PixelFormat), f.Field
		p.Colorspace, p.Quantization = uint32(f.Colorspace), uint8(f.Quantization)
		p.NumPlanes = uint8(max(f.Planes, 1))
		p.Planes[0].BytesPerLine, p.Planes[0].SizeImage = uint32(f.BytesPerLine), uint32(f.SizeImage)
	} else {
		p := (*rawPixFormat)(unsafe.Pointer(&r.Raw))
		*p = rawPixFormat{Width: uint32(f.Width), Height: uint32(f.Height), PixelFormat: uint32(f.PixelFormat), Field: f.Field,
			BytesPerLine: uint32(f.BytesPerLine), SizeImage: uint32(f.SizeImage), Colorspace: uint32(f.Colorspace), Quantization: uint32(f.Quantization)}
	}
	if err := ioctl(d.fd, req, unsafe.Pointer(&r)); err != nil {
		return Format{}, d.wrap(fmt.Sprintf("%s %v %dx%d", op, f.PixelFormat, f.Width, f.Height), err)
	}
	return d.decode(&r), nil
}

func (d *Device) decode(r *rawFormat) Format {
	if d.MPlane() {
		p := (*rawPixFormatMPlane)(unsafe.Pointer(&r.Raw))
		return Format{Width: int(p.Width), Height: int(p.Height), PixelFormat: FourCC(p.PixelFormat), Field: p.Field,
			BytesPerLine: int(p.Planes[0].BytesPerLine), SizeImage: int(p.Planes[0].SizeImage), Planes: int(p.NumPlanes),
			Colorspace: Colorspace(p.Colorspace), Quantization: Quantization(p.Quantization), YCbCrEnc: uint32(p.YCbCrEnc), XferFunc: uint32(p.XferFunc)}
	}
	p := (*rawPixFormat)(unsafe.Pointer(&r.Raw))
	return Format{Width: int(p.Width), Height: int(p.Height), PixelFormat: FourCC(p.PixelFormat), Field: p.Field,
		BytesPerLine: int(p.BytesPerLine), SizeImage: int(p.SizeImage), Planes: 1,
		Colorspace: Colorspace(p.Colorspace), Quantization: Quantization(p.Quantization), YCbCrEnc: p.YCbCrEnc, XferFunc: p.XferFunc}
}

// Interval is the time per frame now set; zero if the driver does not say.
func (d *Device) Interval() (Fraction, error) {
	r := rawStreamParm{Type: d.bufType}
	if err := ioctl(d.fd, vidiocGParm, unsafe.Pointer(&r)); err != nil {
		return Fraction{}, d.wrap("VIDIOC_G_PARM", err)
	}
	return r.TimePerFrame, nil
}

// SetInterval asks for a time per frame and returns what the driver made of it.
// Call it after SetFormat.
func (d *Device) SetInterval(f Fraction) (Fraction, error) {
	r := rawStreamParm{Type: d.bufType}
	r.TimePerFrame = f
	if err := ioctl(d.fd, vidiocSParm, unsafe.Pointer(&r)); err != nil {
		return Fraction{}, d.wrap(fmt.Sprintf("VIDIOC_S_PARM %d/%d s", f.Num, f.Den), err)
	}
	if r.Capability&capTimePerFrame == 0 {
		return d.Interval() // the request was ignored; what remains is what counts
	}
	return r.TimePerFrame, nil
}

// Controls walks the device's controls, menus included, without their values.
func (d *Device) Controls() ([]Control, error) {
	var out []Control
	id := uint32(0)
	for range maxControls {
		r := rawQueryExtCtrl{ID: id | ctrlNextCtrl}
		if err := ioctl(d.fd, vidiocQueryExtCtrl, unsafe.Pointer(&r)); err != nil {
			if ended(err) {
				break
			}
			return out, d.wrap("VIDIOC_QUERY_EXT_CTRL", err)
		}
		if r.ID <= id && id != 0 {
			break // a driver that does not advance would never end
		}
		id = r.ID
		if r.Type == CtrlClass || r.Flags&CtrlFlagDisabled != 0 {
			continue
		}
		c := Control{ID: r.ID, Type: r.Type, Name: cstr(r.Name[:]), Min: r.Min, Max: r.Max, Default: r.Default, Step: r.Step, Flags: r.Flags}
		c.Key = ControlKey(c.Name)
		if c.Type == CtrlMenu || c.Type == CtrlIntegerMenu {
			c.Menu = d.menu(c)
		}
		out = append(out, c)
	}
	return out, nil
}

func (d *Device) menu(c Control) []MenuItem {
	var out []MenuItem
	for i := max(c.Min, 0); i <= c.Max && i < maxMenu; i++ {
		m := rawQueryMenu{ID: c.ID, Index: uint32(i)}
		if ioctl(d.fd, vidiocQueryMenu, unsafe.Pointer(&m)) != nil {
			continue // menus may have holes
		}
		name := cstr(m.Name[:])
		if c.Type == CtrlIntegerMenu {
			var v int64
			for k := 7; k >= 0; k-- {
				v = v<<8 | int64(m.Name[k])
			}
			name = fmt.Sprint(v)
		}
		out = append(out, MenuItem{Index: i, Name: name})
	}
	return out
}

// Control reads a control's value.
func (d *Device) Control(id uint32) (int64, error) {
	v, err := d.extControl(vidiocGExtCtrls, id, 0)
	if err == nil {
		return v, nil
	}
	c := rawControl{ID: id} // drivers without the extended calls
	if ioctl(d.fd, vidiocGCtrl, unsafe.Pointer(&c)) == nil {
		return int64(c.Value), nil
	}
	return 0, d.wrap(fmt.Sprintf("VIDIOC_G_EXT_CTRLS 0x%x", id), err)
}

// SetControl sets a control. The driver may clamp the value: read it back.
func (d *Device) SetControl(id uint32, v int64) error {
	_, err := d.extControl(vidiocSExtCtrls, id, v)
	if err != nil && (errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL)) && int64(int32(v)) == v {
		c := rawControl{ID: id, Value: int32(v)}
		if ioctl(d.fd, vidiocSCtrl, unsafe.Pointer(&c)) == nil {
			return nil
		}
	}
	return d.wrap(fmt.Sprintf("VIDIOC_S_EXT_CTRLS 0x%x=%d", id, v), err)
}

func (d *Device) extControl(req uintptr, id uint32, v int64) (int64, error) {
	c := &rawExtControl{ID: id, Value: [2]uint32{uint32(v), uint32(v >> 32)}}
	cs := &rawExtControls{Count: 1, Controls: unsafe.Pointer(c)}
	err := ioctl(d.fd, req, unsafe.Pointer(cs))
	runtime.KeepAlive(cs)
	return int64(c.Value[0]) | int64(c.Value[1])<<32, err
}

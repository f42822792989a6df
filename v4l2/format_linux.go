//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"fmt"
	"unsafe"
)

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

//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's structs with the same layout on all supported systems; those that
// differ are in layout64_linux.go and layout32_linux.go. Field names are short
// because nobody outside sees them.

type rawCapability struct {
	Driver   [16]byte
	Card     [32]byte
	Bus      [32]byte
	Version  uint32
	Caps     uint32
	DevCaps  uint32
	Reserved [3]uint32
}

type rawFmtDesc struct {
	Index, Type, Flags uint32
	Description        [32]byte
	PixelFormat        uint32
	MbusCode           uint32
	Reserved           [3]uint32
}

type rawFrmSizeEnum struct {
	Index, PixelFormat, Type uint32
	Size                     [6]uint32 // min w, max w, step w, min h, max h, step h; or w, h
	Reserved                 [2]uint32
}

type rawFrmIvalEnum struct {
	Index, PixelFormat, Width, Height, Type uint32
	Ival                                    [3]Fraction // min, max, step; or one
	Reserved                                [2]uint32
}

type rawPixFormat struct {
	Width, Height, PixelFormat, Field, BytesPerLine, SizeImage, Colorspace, Priv, Flags, YCbCrEnc, Quantization, XferFunc uint32
}

type rawPlanePixFormat struct {
	SizeImage, BytesPerLine uint32
	Reserved                [6]uint16
}

type rawPixFormatMPlane struct {
	Width, Height, PixelFormat, Field, Colorspace      uint32
	Planes                                             [8]rawPlanePixFormat
	NumPlanes, Flags, YCbCrEnc, Quantization, XferFunc uint8
	Reserved                                           [7]uint8
}

type rawStreamParm struct {
	Type         uint32
	Capability   uint32
	CaptureMode  uint32
	TimePerFrame Fraction
	ExtendedMode uint32
	ReadBuffers  uint32
	Rest         [176]byte
}

type rawRequestBuffers struct {
	Count, Type, Memory, Capabilities uint32
	Flags                             uint8
	Reserved                          [3]uint8
}

type rawQueryExtCtrl struct {
	ID, Type        uint32
	Name            [32]byte
	Min, Max        int64
	Step            uint64
	Default         int64
	Flags           uint32
	ElemSize, Elems uint32
	NrOfDims        uint32
	Dims            [4]uint32
	Reserved        [32]uint32
}

type rawQueryMenu struct {
	ID, Index uint32
	Name      [32]byte // or an int64
	Reserved  uint32
}

type rawExtControl struct {
	ID, Size, Reserved uint32
	Value              [2]uint32 // an int64 on a 4-byte boundary: the kernel's struct is packed
}

type rawExtControls struct {
	Which, Count, ErrorIdx uint32
	RequestFD              int32
	Reserved               uint32
	Controls               unsafe.Pointer
}

type rawControl struct {
	ID    uint32
	Value int32
}

const (
	bufTypeCapture       = 1
	bufTypeCaptureMPlane = 9
	memoryMMAP           = 1
	capTimePerFrame      = 0x1000
	ctrlNextCtrl         = 0x80000000
	maxPlanes            = 8
)

// Request numbers: direction, size, 'V', number (asm-generic/ioctl.h).
const (
	dirW = 1 << 30
	dirR = 2 << 30
)

func request(dir, nr, size uintptr) uintptr { return dir | size<<16 | 'V'<<8 | nr }

var (
	vidiocQueryCap     = request(dirR, 0, unsafe.Sizeof(rawCapability{}))
	vidiocEnumFmt      = request(dirR|dirW, 2, unsafe.Sizeof(rawFmtDesc{}))
	vidiocGFmt         = request(dirR|dirW, 4, unsafe.Sizeof(rawFormat{}))
	vidiocSFmt         = request(dirR|dirW, 5, unsafe.Sizeof(rawFormat{}))
	vidiocReqBufs      = request(dirR|dirW, 8, unsafe.Sizeof(rawRequestBuffers{}))
	vidiocQueryBuf     = request(dirR|dirW, 9, unsafe.Sizeof(rawBuffer{}))
	vidiocQBuf         = request(dirR|dirW, 15, unsafe.Sizeof(rawBuffer{}))
	vidiocDQBuf        = request(dirR|dirW, 17, unsafe.Sizeof(rawBuffer{}))
	vidiocStreamOn     = request(dirW, 18, 4)
	vidiocStreamOff    = request(dirW, 19, 4)
	vidiocGParm        = request(dirR|dirW, 21, unsafe.Sizeof(rawStreamParm{}))
	vidiocSParm        = request(dirR|dirW, 22, unsafe.Sizeof(rawStreamParm{}))
	vidiocEnumInput    = request(dirR|dirW, 26, unsafe.Sizeof(rawInput{}))
	vidiocGCtrl        = request(dirR|dirW, 27, unsafe.Sizeof(rawControl{}))
	vidiocSCtrl        = request(dirR|dirW, 28, unsafe.Sizeof(rawControl{}))
	vidiocQueryMenu    = request(dirR|dirW, 37, unsafe.Sizeof(rawQueryMenu{}))
	vidiocGInput       = request(dirR, 38, 4)
	vidiocSInput       = request(dirR|dirW, 39, 4)
	vidiocTryFmt       = request(dirR|dirW, 64, unsafe.Sizeof(rawFormat{}))
	vidiocGExtCtrls    = request(dirR|dirW, 71, unsafe.Sizeof(rawExtControls{}))
	vidiocSExtCtrls    = request(dirR|dirW, 72, unsafe.Sizeof(rawExtControls{}))
	vidiocEnumFrmSizes = request(dirR|dirW, 74, unsafe.Sizeof(rawFrmSizeEnum{}))
	vidiocEnumFrmIvals = request(dirR|dirW, 75, unsafe.Sizeof(rawFrmIvalEnum{}))
	vidiocQueryExtCtrl = request(dirR|dirW, 103, unsafe.Sizeof(rawQueryExtCtrl{}))
)

// others is how many calls of ioctl are under way, of any device.
var others atomic.Int32

// ioctl returns a bare errno, which is an error without an allocation.
func ioctl(fd int, req uintptr, arg unsafe.Pointer) error {
	others.Add(1)
	defer others.Add(-1)
	return call(fd, req, arg, false)
}

// ioctlNow is for exchanging buffers, which takes no waiting, and does not tell Go's
// scheduler: the telling wakes the runtime's monitor thread for each frame, which then
// looks around every few ten microseconds as long as the frame is encoded. It does tell
// while a call is under way that may hold a driver's lock for long, as one that sets a
// control of a camera behind a bus or a firmware does.
func ioctlNow(fd int, req uintptr, arg unsafe.Pointer) error {
	return call(fd, req, arg, others.Load() == 0)
}

func call(fd int, req uintptr, arg unsafe.Pointer, raw bool) error {
	for {
		var e syscall.Errno
		if raw {
			_, _, e = unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
		} else {
			_, _, e = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
		}
		switch e {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return e
	}
}

func cstr(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

package frame

import "fmt"

// FourCC names a pixel or compression format by four characters, the first in
// the lowest byte, as in the kernel's V4L2 documentation (v4l2_fourcc).
type FourCC uint32

// Formats that framepipe carries. Values are V4L2's; see the kernel's
// userspace-api/media/v4l/pixfmt-*.rst for the memory layouts.
const (
	JPEG  = FourCC('J' | 'P'<<8 | 'E'<<16 | 'G'<<24) // baseline or progressive JPEG, one picture
	I420  = FourCC('Y' | 'U'<<8 | '1'<<16 | '2'<<24) // planar Y, U, V; chroma halved both ways ("yuv" of the origin)
	NV12  = FourCC('N' | 'V'<<8 | '1'<<16 | '2'<<24) // planar Y, then interleaved UV; chroma halved both ways
	YUYV  = FourCC('Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24) // packed Y0 U Y1 V; chroma halved horizontally
	UYVY  = FourCC('U' | 'Y'<<8 | 'V'<<16 | 'Y'<<24) // packed U Y0 V Y1; chroma halved horizontally
	RGB24 = FourCC('R' | 'G'<<8 | 'B'<<16 | '3'<<24) // packed R, G, B ("rgb" of the origin)
	BGR24 = FourCC('B' | 'G'<<8 | 'R'<<16 | '3'<<24) // packed B, G, R (OpenCV's order)
	GREY  = FourCC('G' | 'R'<<8 | 'E'<<16 | 'Y'<<24) // 8-bit luma only
)

// MakeFourCC builds a code from its characters.
func MakeFourCC(a, b, c, d byte) FourCC {
	return FourCC(uint32(a) | uint32(b)<<8 | uint32(c)<<16 | uint32(d)<<24)
}

// String gives the four characters, or hexadecimal where one is not printable:
// codes come from drivers and from the network and end up in logs.
func (f FourCC) String() string {
	b := [4]byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return fmt.Sprintf("0x%08x", uint32(f))
		}
	}
	return string(b[:])
}

// Compressed reports whether a frame of this format describes its own size and
// has no rows or strides.
func (f FourCC) Compressed() bool { return f == JPEG }

// ParseFormat reads the word that people type: jpeg, yuv, rgb as in the origin,
// or the name of any format of this package in either case (nv12, YUYV …).
func ParseFormat(s string) (FourCC, error) {
	switch s {
	case "jpeg", "JPEG", "jpg", "mjpeg", "MJPG":
		return JPEG, nil
	case "yuv", "i420", "I420", "yuv420p", "YU12":
		return I420, nil
	case "rgb", "rgb24", "RGB24", "RGB3":
		return RGB24, nil
	case "bgr", "bgr24", "BGR24", "BGR3":
		return BGR24, nil
	case "nv12", "NV12":
		return NV12, nil
	case "yuyv", "YUYV":
		return YUYV, nil
	case "uyvy", "UYVY":
		return UYVY, nil
	case "grey", "gray", "GREY":
		return GREY, nil
	}
	return 0, fmt.Errorf("unknown format %q: use jpeg, yuv or rgb", s)
}

// Word is the name that people use for a format; ParseFormat reads it back.
func (f FourCC) Word() string {
	switch f {
	case JPEG:
		return "jpeg"
	case I420:
		return "yuv"
	case RGB24:
		return "rgb"
	case BGR24:
		return "bgr"
	case NV12:
		return "nv12"
	case YUYV:
		return "yuyv"
	case UYVY:
		return "uyvy"
	case GREY:
		return "grey"
	}
	return f.String()
}

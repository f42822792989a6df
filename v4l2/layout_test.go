//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"testing"
	"unsafe"
)

// TestLayouts holds the structs against the kernel's: sizes and request numbers
// as a C program prints them for linux/videodev2.h on 64 bits, and as
// drivers/media/v4l2-core/v4l2-compat-ioctl32.c and the 32-bit time layout have
// them on 32.
func TestLayouts(t *testing.T) {
	long := unsafe.Sizeof(uintptr(0)) == 8
	pick := func(on64, on32 uintptr) uintptr {
		if long {
			return on64
		}
		return on32
	}
	for _, tc := range []struct {
		name       string
		got        uintptr
		on64, on32 uintptr
	}{
		{"v4l2_capability", unsafe.Sizeof(rawCapability{}), 104, 104},
		{"v4l2_fmtdesc", unsafe.Sizeof(rawFmtDesc{}), 64, 64},
		{"v4l2_frmsizeenum", unsafe.Sizeof(rawFrmSizeEnum{}), 44, 44},
		{"v4l2_frmivalenum", unsafe.Sizeof(rawFrmIvalEnum{}), 52, 52},
		{"v4l2_format", unsafe.Sizeof(rawFormat{}), 208, 204},
		{"v4l2_format.fmt", unsafe.Offsetof(rawFormat{}.Raw), 8, 4},
		{"v4l2_pix_format", unsafe.Sizeof(rawPixFormat{}), 48, 48},
		{"v4l2_pix_format_mplane", unsafe.Sizeof(rawPixFormatMPlane{}), 192, 192},
		{"v4l2_streamparm", unsafe.Sizeof(rawStreamParm{}), 204, 204},
		{"v4l2_requestbuffers", unsafe.Sizeof(rawRequestBuffers{}), 20, 20},
		{"v4l2_buffer", unsafe.Sizeof(rawBuffer{}), 88, 68},
		{"v4l2_buffer.timestamp", unsafe.Offsetof(rawBuffer{}.Sec), 24, 20},
		{"v4l2_buffer.sequence", unsafe.Offsetof(rawBuffer{}.Sequence), 56, 44},
		{"v4l2_buffer.m", unsafe.Offsetof(rawBuffer{}.M), 64, 52},
		{"v4l2_plane", unsafe.Sizeof(rawPlane{}), 64, 60},
		{"v4l2_query_ext_ctrl", unsafe.Sizeof(rawQueryExtCtrl{}), 232, 232},
		{"v4l2_querymenu", unsafe.Sizeof(rawQueryMenu{}), 44, 44},
		{"v4l2_ext_control", unsafe.Sizeof(rawExtControl{}), 20, 20},
		{"v4l2_ext_controls", unsafe.Sizeof(rawExtControls{}), 32, 24},
		{"v4l2_ext_controls.controls", unsafe.Offsetof(rawExtControls{}.Controls), 24, 20},
		{"v4l2_control", unsafe.Sizeof(rawControl{}), 8, 8},

		{"VIDIOC_QUERYCAP", vidiocQueryCap, 0x80685600, 0x80685600},
		{"VIDIOC_ENUM_FMT", vidiocEnumFmt, 0xc0405602, 0xc0405602},
		{"VIDIOC_G_FMT", vidiocGFmt, 0xc0d05604, 0xc0cc5604},
		{"VIDIOC_S_FMT", vidiocSFmt, 0xc0d05605, 0xc0cc5605},
		{"VIDIOC_TRY_FMT", vidiocTryFmt, 0xc0d05640, 0xc0cc5640},
		{"VIDIOC_REQBUFS", vidiocReqBufs, 0xc0145608, 0xc0145608},
		{"VIDIOC_QUERYBUF", vidiocQueryBuf, 0xc0585609, 0xc0445609},
		{"VIDIOC_QBUF", vidiocQBuf, 0xc058560f, 0xc044560f},
		{"VIDIOC_DQBUF", vidiocDQBuf, 0xc0585611, 0xc0445611},
		{"VIDIOC_STREAMON", vidiocStreamOn, 0x40045612, 0x40045612},
		{"VIDIOC_STREAMOFF", vidiocStreamOff, 0x40045613, 0x40045613},
		{"VIDIOC_G_PARM", vidiocGParm, 0xc0cc5615, 0xc0cc5615},
		{"VIDIOC_S_PARM", vidiocSParm, 0xc0cc5616, 0xc0cc5616},
		{"VIDIOC_G_INPUT", vidiocGInput, 0x80045626, 0x80045626},
		{"VIDIOC_S_INPUT", vidiocSInput, 0xc0045627, 0xc0045627},
		{"VIDIOC_G_CTRL", vidiocGCtrl, 0xc008561b, 0xc008561b},
		{"VIDIOC_S_CTRL", vidiocSCtrl, 0xc008561c, 0xc008561c},
		{"VIDIOC_QUERYMENU", vidiocQueryMenu, 0xc02c5625, 0xc02c5625},
		{"VIDIOC_ENUM_FRAMESIZES", vidiocEnumFrmSizes, 0xc02c564a, 0xc02c564a},
		{"VIDIOC_ENUM_FRAMEINTERVALS", vidiocEnumFrmIvals, 0xc034564b, 0xc034564b},
		{"VIDIOC_G_EXT_CTRLS", vidiocGExtCtrls, 0xc0205647, 0xc0185647},
		{"VIDIOC_S_EXT_CTRLS", vidiocSExtCtrls, 0xc0205648, 0xc0185648},
		{"VIDIOC_QUERY_EXT_CTRL", vidiocQueryExtCtrl, 0xc0e85667, 0xc0e85667},
	} {
		if want := pick(tc.on64, tc.on32); tc.got != want {
			t.Errorf("%s: %#x, the kernel has %#x", tc.name, tc.got, want)
		}
	}
	// The kernel's struct ends on an 8-byte boundary everywhere but on i386.
	if n := unsafe.Sizeof(rawInput{}); n != inputSize {
		t.Errorf("v4l2_input: %d, the kernel has %d", n, inputSize)
	}
}

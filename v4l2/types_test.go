package v4l2

import "testing"

// Names as v4l2-ctl -L prints them for the drivers' wording.
func TestControlKey(t *testing.T) {
	for name, want := range map[string]string{
		"Brightness":                  "brightness",
		"White Balance, Automatic":    "white_balance_automatic",
		"Exposure Time, Absolute":     "exposure_time_absolute",
		"Exposure, Dynamic Framerate": "exposure_dynamic_framerate",
		"Integer 64 Bits":             "integer_64_bits",
		"U32 1 Element Array":         "u32_1_element_array",
		" Leading (and) trailing ":    "leading_and_trailing",
		"Y'CbCr Encoding":             "y_cbcr_encoding",
		"--":                          "",
	} {
		if got := ControlKey(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestFourCC(t *testing.T) {
	for code, want := range map[FourCC]string{
		MakeFourCC("YUYV"):           "YUYV",
		MakeFourCC("Y16"):            "Y16",
		MakeFourCC("Y16") | 1<<31:    "Y16-BE",
		FourCC(0):                    "0x00000000",
		MakeFourCC("YUYV") &^ 0xff00: "0x56590059",
	} {
		if got := code.String(); got != want {
			t.Errorf("%#x: %q, want %q", uint32(code), got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	r := FrameSize{MinWidth: 16, MaxWidth: 1918, StepWidth: 4, MinHeight: 16, MaxHeight: 1080, StepHeight: 1}
	for _, tc := range [][4]int{{320, 240, 320, 240}, {321, 241, 320, 241}, {322, 1, 324, 16}, {9999, 9999, 1918, 1080}, {1917, 500, 1916, 500}} {
		if w, h := r.Nearest(tc[0], tc[1]); w != tc[2] || h != tc[3] {
			t.Errorf("%dx%d: %dx%d, want %dx%d", tc[0], tc[1], w, h, tc[2], tc[3])
		}
	}
	d := FrameSize{MinWidth: 640, MaxWidth: 640, MinHeight: 480, MaxHeight: 480}
	if w, h := d.Nearest(1, 9999); w != 640 || h != 480 || !d.Discrete() || d.String() != "640x480" {
		t.Errorf("%dx%d %v", w, h, d)
	}
}

func TestFraction(t *testing.T) {
	if f := (Fraction{1, 30}); f.FPS() != 30 || f.Duration().Milliseconds() != 33 {
		t.Errorf("%v %v", f.FPS(), f.Duration())
	}
	if f := (Fraction{}); f.FPS() != 0 || f.Duration() != 0 {
		t.Errorf("unknown is %v, %v", f.FPS(), f.Duration())
	}
}

func TestIsCapture(t *testing.T) {
	for _, tc := range []struct {
		name string
		caps uint32
		want bool
	}{
		{"webcam", CapVideoCapture | CapStreaming, true},
		{"multi-planar", CapVideoCaptureMPlane | CapStreaming, true},
		{"v4l2loopback", CapVideoCapture | CapVideoOutput | CapStreaming, true},
		{"metadata", CapMetaCapture | CapStreaming, false},
		{"codec", CapVideoM2MMPlane | CapStreaming, false},
		{"read only", CapVideoCapture | CapReadWrite, false},
	} {
		if got := (Capability{Caps: tc.caps}).IsCapture(); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestBufferFlags(t *testing.T) {
	b := Buffer{Flags: bufFlagMonotonic | bufFlagSourceSOE}
	if b.Clock() != ClockMonotonic || !b.StartOfExposure() || b.Damaged() {
		t.Errorf("%+v", b)
	}
	b.Flags = bufFlagCopy | BufFlagError
	if b.Clock() != ClockCopy || b.StartOfExposure() || !b.Damaged() || b.Clock().String() != "copy" {
		t.Errorf("%+v", b)
	}
}

func TestFullRange(t *testing.T) {
	yuyv, rgb := MakeFourCC("YUYV"), MakeFourCC("RGB3")
	for _, tc := range []struct {
		f    Format
		want bool
	}{
		{Format{PixelFormat: yuyv, Colorspace: 8}, false},
		{Format{PixelFormat: yuyv, Colorspace: 7}, true},
		{Format{PixelFormat: yuyv, Colorspace: 8, Quantization: 1}, true},
		{Format{PixelFormat: yuyv, Colorspace: 7, Quantization: 2}, false},
		{Format{PixelFormat: rgb, Colorspace: 8}, true},
		{Format{PixelFormat: rgb, Quantization: 2}, false},
		{Format{PixelFormat: MakeFourCC("MJPG")}, true},
	} {
		if got := tc.f.FullRange(); got != tc.want {
			t.Errorf("%v: %v", tc.f, got)
		}
	}
}

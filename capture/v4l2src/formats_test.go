package v4l2src

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

type fakeSize struct {
	v4l2.FrameSize
	fps []uint32
}

type fakeFormat struct {
	code  string
	sizes []fakeSize
}

type fakeCatalog []fakeFormat

func (c fakeCatalog) Formats() (out []v4l2.FormatDesc, err error) {
	for _, f := range c {
		out = append(out, v4l2.FormatDesc{PixelFormat: v4l2.MakeFourCC(f.code)})
	}
	return out, nil
}

func (c fakeCatalog) FrameSizes(code v4l2.FourCC) (out []v4l2.FrameSize, err error) {
	for _, f := range c {
		if v4l2.MakeFourCC(f.code) == code {
			for _, s := range f.sizes {
				out = append(out, s.FrameSize)
			}
		}
	}
	return out, nil
}

func (c fakeCatalog) Intervals(code v4l2.FourCC, w, h int) (out []v4l2.Interval, err error) {
	for _, f := range c {
		for _, s := range f.sizes {
			if v4l2.MakeFourCC(f.code) != code || w < s.MinWidth || w > s.MaxWidth || h < s.MinHeight || h > s.MaxHeight {
				continue
			}
			if s.Discrete() {
				for _, r := range s.fps {
					out = append(out, v4l2.Interval{Min: v4l2.Fraction{Num: 1, Den: r}, Max: v4l2.Fraction{Num: 1, Den: r}, Discrete: true})
				}
			} else {
				out = append(out, v4l2.Interval{Min: v4l2.Fraction{Num: 1, Den: s.fps[0]}, Max: v4l2.Fraction{Num: 1, Den: s.fps[1]}})
			}
		}
	}
	return out, nil
}

func at(w, h int, fps ...uint32) fakeSize {
	return fakeSize{v4l2.FrameSize{MinWidth: w, MaxWidth: w, MinHeight: h, MaxHeight: h}, fps}
}

// webcam is what a Logitech C920 offers, shortened.
var webcam = fakeCatalog{
	{"YUYV", []fakeSize{at(640, 480, 30, 15), at(1280, 720, 10), at(2304, 1536, 2)}},
	{"H264", []fakeSize{at(640, 480, 30)}},
	{"MJPG", []fakeSize{at(640, 480, 30, 24, 15), at(1280, 720, 30, 15), at(1920, 1080, 30, 5)}},
}

// picamera is bcm2835-v4l2: any size.
var picamera = fakeCatalog{
	{"YU12", []fakeSize{{v4l2.FrameSize{MinWidth: 32, MaxWidth: 3280, StepWidth: 2, MinHeight: 32, MaxHeight: 2464, StepHeight: 2}, []uint32{90, 1}}}},
	{"RGB3", []fakeSize{{v4l2.FrameSize{MinWidth: 32, MaxWidth: 3280, StepWidth: 2, MinHeight: 32, MaxHeight: 2464, StepHeight: 2}, []uint32{90, 1}}}},
	{"JPEG", []fakeSize{{v4l2.FrameSize{MinWidth: 32, MaxWidth: 3280, StepWidth: 2, MinHeight: 32, MaxHeight: 2464, StepHeight: 2}, []uint32{90, 1}}}},
}

func TestChoose(t *testing.T) {
	silent := fakeCatalog{{"YUYV", nil}}
	for _, tc := range []struct {
		name   string
		cat    fakeCatalog
		cfg    capture.Config
		native string
		w, h   int
		fps    float64
		note   string
	}{
		{"jpeg of a webcam", webcam, capture.Config{Width: 640, Height: 480}, "MJPG", 640, 480, 30, ""},
		{"rate asked", webcam, capture.Config{Width: 640, Height: 480, FPS: 15}, "MJPG", 640, 480, 15, ""},
		{"nearest rate", webcam, capture.Config{Width: 640, Height: 480, FPS: 20}, "MJPG", 640, 480, 24, ""},
		{"yuv from YUYV", webcam, capture.Config{Width: 640, Height: 480, Format: frame.I420}, "YUYV", 640, 480, 30, ""},
		{"yuv: YUYV would be too slow", webcam, capture.Config{Width: 1280, Height: 720, Format: frame.I420}, "MJPG", 1280, 720, 30, "at only 10 fps"},
		{"yuv: slow is what was asked", webcam, capture.Config{Width: 1280, Height: 720, Format: frame.I420, FPS: 10}, "YUYV", 1280, 720, 10, ""},
		{"only the other has the size", webcam, capture.Config{Width: 1920, Height: 1080, Format: frame.RGB24}, "MJPG", 1920, 1080, 30, ""},
		{"jpeg, only raw has the size", webcam, capture.Config{Width: 2304, Height: 1536}, "YUYV", 2304, 1536, 2, ""},
		{"nearest size", webcam, capture.Config{Width: 320, Height: 240}, "MJPG", 640, 480, 30, ""},
		{"what is set now", webcam, capture.Config{}, "MJPG", 1280, 720, 30, ""},
		{"width alone", webcam, capture.Config{Width: 1900}, "MJPG", 1920, 1080, 30, ""},
		{"still", webcam, capture.Config{Width: 320, Height: 240, Port: capture.Still}, "YUYV", 2304, 1536, 2, ""},
		{"pi jpeg", picamera, capture.Config{Width: 320, Height: 240}, "JPEG", 320, 240, 90, ""},
		{"pi yuv", picamera, capture.Config{Width: 320, Height: 240, Format: frame.I420, FPS: 30}, "YU12", 320, 240, 30, ""},
		{"pi rgb, odd size", picamera, capture.Config{Width: 321, Height: 241, Format: frame.RGB24, FPS: 200}, "RGB3", 322, 242, 90, ""},
		{"pi still", picamera, capture.Config{Width: 320, Height: 240, Port: capture.Still}, "JPEG", 3280, 2464, 90, ""},
		{"driver does not say", silent, capture.Config{Width: 500, Height: 400, FPS: 25}, "YUYV", 500, 400, 25, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := choose(tc.cat, tc.cfg, v4l2.Format{Width: 1280, Height: 720})
			if err != nil {
				t.Fatal(err)
			}
			if c.native != v4l2.MakeFourCC(tc.native) || c.w != tc.w || c.h != tc.h || c.interval.FPS() != tc.fps {
				t.Errorf("%v %dx%d at %v", c.native, c.w, c.h, c.interval.FPS())
			}
			if notes := strings.Join(c.notes, ";"); tc.note == "" && notes != "" || !strings.Contains(notes, tc.note) {
				t.Errorf("notes: %q", notes)
			}
		})
	}
	_, err := choose(fakeCatalog{{"H264", nil}, {"pRAA", nil}}, capture.Config{}, v4l2.Format{})
	if !errors.Is(err, errNoFormat) || !strings.Contains(err.Error(), "H264, pRAA") {
		t.Errorf("%v", err)
	}
}

func TestPreferenceIsComplete(t *testing.T) {
	for _, want := range []frame.FourCC{0, frame.JPEG, frame.I420, frame.RGB24, frame.BGR24, frame.NV12, frame.YUYV, frame.UYVY, frame.GREY} {
		order := preference(want)
		seen := map[frame.FourCC]int{}
		for _, f := range order {
			seen[f]++
		}
		for native, f := range natives {
			if seen[f] != 1 {
				t.Errorf("%v: %v (%v) is %d times in %v", want, f, native, seen[f], order)
			}
		}
		if want != 0 && order[0] != want {
			t.Errorf("%v: %v", want, order)
		}
	}
}

func TestLeastBytes(t *testing.T) {
	for _, tc := range []struct {
		f               frame.FourCC
		w, h, stride, n int
	}{
		{frame.I420, 320, 240, 320, 115200},
		{frame.I420, 5, 3, 8, 24 + 2*4*2},
		{frame.NV12, 320, 240, 384, 384 * 360},
		{frame.YUYV, 320, 240, 704, 704*239 + 640},
		{frame.RGB24, 320, 240, 960, 230400},
		{frame.GREY, 320, 240, 320, 76800},
	} {
		if n := leastBytes(tc.f, tc.w, tc.h, tc.stride); n != tc.n {
			t.Errorf("%v %dx%d stride %d: %d, want %d", tc.f, tc.w, tc.h, tc.stride, n, tc.n)
		}
	}
}

// What people choose from: the driver's sizes of formats that can be used, with the
// rates of all of them; of a range, sizes that people ask for.
func TestOffered(t *testing.T) {
	want := []capture.Size{{Width: 640, Height: 480, FPS: []float64{30, 24, 15}}, {Width: 1280, Height: 720, FPS: []float64{30, 15, 10}},
		{Width: 1920, Height: 1080, FPS: []float64{30, 5}}, {Width: 2304, Height: 1536, FPS: []float64{2}}}
	if got := offered(webcam); !reflect.DeepEqual(got, want) {
		t.Errorf("a webcam offers %v, want %v", got, want)
	}
	got := offered(picamera)
	if n := len(got); n < 5 || got[0].Width != 320 || got[n-1].Width != 3280 || got[n-1].Height != 2464 || !reflect.DeepEqual(got[0].FPS, []float64{90, 1}) {
		t.Errorf("of any size up to 3280x2464 it offers %v", got)
	}
	var many fakeCatalog
	for i := range 200 {
		many = append(many, fakeFormat{"MJPG", []fakeSize{at(16*i+16, 16*i+16, 30)}})
	}
	if n := len(offered(many)); n > mostSizes {
		t.Errorf("%d sizes are told of", n)
	}
}

package mjpeg

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"framepipe/frame"
	"framepipe/pixfmt"
)

func BenchmarkEncode(b *testing.B) {
	run := func(name string, f *frame.Frame, o EncoderOptions) {
		b.Run(name, func(b *testing.B) {
			e := newGoEncoderWith(o)
			var buf []byte
			var err error
			b.SetBytes(int64(pixfmt.Size(frame.I420, f.Width, f.Height, 0)))
			b.ReportAllocs()
			for b.Loop() {
				if buf, err = e.Encode(buf, f, 85); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(buf)), "B/frame")
		})
	}
	for _, wh := range [][2]int{{320, 240}, {640, 480}, {1280, 720}, {1920, 1080}} {
		run(fmt.Sprintf("yuv/%dx%d", wh[0], wh[1]), scene(frame.I420, wh[0], wh[1]), EncoderOptions{})
	}
	for _, f := range []frame.FourCC{frame.NV12, frame.YUYV, frame.UYVY, frame.RGB24, frame.BGR24, frame.GREY} {
		run(f.Word()+"/640x480", scene(f, 640, 480), EncoderOptions{})
	}
	run("yuyv/1280x720", scene(frame.YUYV, 1280, 720), EncoderOptions{})
	run("yuyv-422/640x480", scene(frame.YUYV, 640, 480), EncoderOptions{Keep422: true})
	run("optimise/640x480", scene(frame.I420, 640, 480), EncoderOptions{Optimise: true})
	run("slices=2/1920x1080", scene(frame.I420, 1920, 1080), EncoderOptions{Slices: 2})
	run("slices=4/1920x1080", scene(frame.I420, 1920, 1080), EncoderOptions{Slices: 4})
}

func BenchmarkDecode(b *testing.B) {
	p, err := newGoEncoder().Encode(nil, scene(frame.I420, 640, 480), 85)
	if err != nil {
		b.Fatal(err)
	}
	for _, to := range []frame.FourCC{frame.I420, frame.RGB24, frame.GREY} {
		for _, scale := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("%s/1of%d", to.Word(), scale), func(b *testing.B) {
				d := newGoDecoder(Limits{})
				var buf []byte
				b.ReportAllocs()
				for b.Loop() {
					if buf, _, _, err = d.DecodeScaled(buf, p, to, scale); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("std-rgb", func(b *testing.B) {
		d := newStdDecoder(Limits{})
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			if buf, _, _, err = d.Decode(buf, p, frame.RGB24); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestInstructions does the same work FRAMEPIPE_COUNT times, for counting
// instructions under an emulator: see docs/performance.md.
func TestInstructions(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("FRAMEPIPE_COUNT"))
	if err != nil {
		return
	}
	e, d := newGoEncoder(), newGoDecoder(Limits{})
	f := scene(frame.I420, 320, 240)
	jpg, err := e.Encode(nil, f, 85)
	var buf []byte
	for range n {
		switch os.Getenv("FRAMEPIPE_WORK") {
		case "encode":
			buf, err = e.Encode(buf, f, 85)
		case "decode":
			buf, _, _, err = d.Decode(buf, jpg, frame.RGB24)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

//go:build linux

// Package standin has stand-ins for programs that the tests cannot have: the
// Raspberry Pi's camera programs, whose camera QEMU does not emulate. Tests make
// themselves stand in for a program by calling its main function here.
package standin

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

// Scene is what the stand-in's camera sees: luma n+x+y, chroma by n.
func Scene(w, h int, n uint64) (y func(x, y int) byte, u, v byte) {
	return func(x, y int) byte { return byte(16 + (uint64(x)+uint64(y)+n)%200) }, byte(60 + n%100), byte(190 - n%100)
}

// Dump is one frame as the null encoder writes it: padded rows, and more behind.
func Dump(w, h, align, extra int, n uint64) []byte {
	stride := (w + align - 1) / align * align
	b := bytes.Repeat([]byte{0xee}, pixfmt.Size(frame.I420, w, h, stride)+extra)
	m, err := pixfmt.View(frame.I420, w, h, stride, b)
	if err != nil {
		panic(err)
	}
	luma, u, v := Scene(w, h, n)
	for y := range h {
		for x := range w {
			m.Planes[0][y*stride+x] = luma(x, y)
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			m.Planes[1][y*m.Strides[1]+x], m.Planes[2][y*m.Strides[2]+x] = u, v
		}
	}
	return b
}

func say(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }

func fail(text string) {
	say("ERROR: *** %s ***", text)
	os.Exit(255)
}

// RPiCam is the main function of a stand-in for rpicam-vid, or rpicam-still. It
// writes what the real one writes, as its source and documentation describe, and
// fails in the ways the environment variable STANDIN asks for: a list of none,
// busy, die=N, gap=N, noise, old, nometa, stubborn, short, align=N, extra=N, wider.
func RPiCam(isStill bool) {
	behaviour := map[string]string{}
	for _, b := range strings.Split(os.Getenv("STANDIN"), ",") {
		k, v, _ := strings.Cut(b, "=")
		behaviour[k] = v
	}
	is := func(k string) bool { _, ok := behaviour[k]; return ok }
	number := func(k string, def int) int {
		if n, err := strconv.Atoi(behaviour[k]); err == nil {
			return n
		}
		return def
	}
	fs := flag.NewFlagSet("rpicam", flag.ContinueOnError)
	fs.SetOutput(new(bytes.Buffer))
	list, codec, enc := fs.Bool("list-cameras", false, ""), fs.String("codec", "h264", ""), fs.String("e", "jpg", "")
	w, h, fps := fs.Int("width", 640, ""), fs.Int("height", 480, ""), fs.Float64("framerate", 30, "")
	meta, format := fs.String("metadata", "", ""), fs.String("metadata-format", "json", "")
	cam, q, verbose := fs.Int("camera", 0, ""), fs.Int("q", 50, ""), fs.Int("verbose", 1, "")
	flush, out, timeout := fs.Bool("flush", false, ""), fs.String("o", "", ""), fs.Int("t", 5000, "")
	fs.Bool("n", false, "")
	fs.String("denoise", "auto", "")
	fs.String("mode", "", "")
	fs.Int("shutter", 0, "")
	if !is("old") {
		fs.Bool("no-raw", false, "")
	}
	if err := fs.Parse(os.Args[1:]); err != nil {
		fail("unrecognised option '" + strings.TrimPrefix(err.Error(), "flag provided but not defined: -") + "'")
	}
	if *list {
		if is("none") {
			fmt.Println("No cameras available!")
			return
		}
		fmt.Print("Available cameras\n-----------------\n0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)\n" +
			"    Modes: 'SRGGB10_CSI2P' : 640x480 [103.33 fps - (1000, 752)/1280x960 crop]\n                             3280x2464 [21.19 fps - (0, 0)/3280x2464 crop]\n\n" +
			"1 : HD Pro Webcam C920 [2304x1536] (/base/scb/pcie@7d500000/usb@0,0-1.4:1.0-046d:082d)\n    Modes: 'MJPEG' : 640x480 [30.00 fps]\n")
		return
	}
	say("[0:08:34.894301893] [1857]  INFO Camera camera_manager.cpp:293 libcamera v0.3.2")
	if is("none") {
		fail("no cameras available")
	}
	if is("busy") {
		say("[0:08:34.950000000] [1857]  INFO Camera camera.cpp:1024 Pipeline handler in use by another process")
		fail("failed to acquire camera /base/soc/i2c0mux/i2c@1/imx219@10")
	}
	if *cam != 0 || *out != "-" || (*meta != "" && *format != "txt") {
		fail("stand-in called in an unexpected way: " + strings.Join(os.Args, " "))
	}
	align := number("align", 64)
	width := *w
	if is("wider") {
		width = (*w + 31) &^ 31
	}
	if isStill {
		time.Sleep(time.Duration(*timeout) * time.Millisecond / 10)
		b := Dump(width, *h, 2, 0, 1)
		if *enc == "jpg" {
			b = encode(b, width, *h, *q)
		}
		if is("short") {
			b = nil
		}
		if *meta != "" {
			os.WriteFile(*meta, []byte(fmt.Sprintf("ExposureTime=9999\nSensorTimestamp=%d\n\n", frame.MonotonicNow()-40e6)), 0o600)
		}
		os.Stdout.Write(b)
		return
	}
	say("[0:08:35.205932032] [1857]  INFO Camera camera.cpp:1197 configuring streams: (0) %dx%d-YUV420", width, *h)
	if is("noise") {
		for i := range 20_000 {
			say("[0:08:35.2] [1861] DEBUG V4L2 v4l2_device.cpp:721 noise %d %s", i, strings.Repeat("x", 200))
		}
		os.Stderr.Write(bytes.Repeat([]byte("no end of line "), 50_000))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGPIPE)
	var fifo *os.File
	if *meta != "" {
		var err error
		if fifo, err = os.OpenFile(*meta, os.O_WRONLY, 0); err != nil {
			fail("failed to open metadata")
		}
	}
	stdout := bufio.NewWriterSize(os.Stdout, 4096) // as stdio
	period := time.Duration(float64(time.Second) / *fps)
	start := frame.MonotonicNow()
	slot := int64(0) // sensor frames
	for n := uint64(1); ; n++ {
		slot++
		if k := number("gap", 0); k > 0 && n%uint64(k) == 0 {
			slot += 2
		}
		at := start + slot*int64(period)
		for time.Duration(at-frame.MonotonicNow()) > 0 {
			select {
			case <-stop:
				if !is("stubborn") {
					return
				}
			case <-time.After(time.Duration(at - frame.MonotonicNow())):
			}
		}
		b := Dump(width, *h, align, number("extra", 0), n)
		if *codec == "mjpeg" {
			b = encode(Dump(width, *h, 2, 0, n), width, *h, *q)
		} else if *codec != "yuv420" {
			fail("unexpected codec " + *codec)
		}
		if *verbose >= 2 {
			say("Viewfinder frame %d", n)
			say("FileOutput: output buffer 0x7f8a%06x size %d", n, len(b))
		}
		if k := number("die", 0); k > 0 && n == uint64(k) {
			stdout.Write(b[:len(b)/2])
			stdout.Flush()
			fail("failed to queue request")
		}
		stdout.Write(b)
		if *flush {
			stdout.Flush()
		}
		if fifo != nil && !is("nometa") {
			fmt.Fprintf(fifo, "AeLocked=1\nExposureTime=%d\n", 8000+n)
			fmt.Fprintf(fifo, "FrameDuration=%d\nColourGains=[ 1.5, 2.1 ]\nSensorTimestamp=%d\nFrameWallClock=1\n\n", period.Microseconds(), at-int64(period)/4)
		}
	}
}

func encode(i420 []byte, w, h, q int) []byte {
	f := frame.New(i420, nil)
	f.Format, f.Width, f.Height = frame.I420, w, h
	b, err := mjpeg.NewEncoder().Encode(nil, f, q)
	if err != nil {
		fail(err.Error())
	}
	return b
}

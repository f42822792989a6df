package mjpeg_test

import (
	"bytes"
	"fmt"
	"io"

	"framepipe/frame"
	"framepipe/mjpeg"
)

// grey is a raw picture of one shade.
func grey(width, height int) *frame.Frame {
	f := frame.New(bytes.Repeat([]byte{128}, width*height), nil)
	f.Format, f.Width, f.Height, f.Stride = frame.GREY, width, height, width
	return f
}

// The buffer that is passed in is used again: in steady state nothing is allocated.
func ExampleEncoder() {
	encoder := mjpeg.NewEncoder()
	raw := grey(64, 48)
	defer raw.Release()
	var picture []byte
	for _, quality := range []int{85, 60} {
		var err error
		if picture, err = encoder.Encode(picture, raw, quality); err != nil {
			fmt.Println(err)
			return
		}
		info, err := mjpeg.Header(picture)
		fmt.Println(info.Width, info.Height, info.Components, err)
	}
	// Output:
	// 64 48 1 <nil>
	// 64 48 1 <nil>
}

// Pictures written one after another, as ffmpeg -f mjpeg does, are found again.
func ExampleSplitter() {
	raw := grey(16, 16)
	defer raw.Release()
	one, err := mjpeg.NewEncoder().Encode(nil, raw, 85)
	if err != nil {
		fmt.Println(err)
		return
	}
	var pool frame.Pool
	pictures := mjpeg.NewSplitter(bytes.NewReader(bytes.Repeat(one, 3)), &pool, 0)
	n := 0
	for {
		f, err := pictures.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		n++
		f.Release()
	}
	fmt.Println(n, "pictures")
	// Output: 3 pictures
}

// Webcams leave out end markers, and more.
func ExampleRepair() {
	raw := grey(16, 16)
	defer raw.Release()
	whole, err := mjpeg.NewEncoder().Encode(nil, raw, 85)
	if err != nil {
		fmt.Println(err)
		return
	}
	mended, what, err := mjpeg.Repair(bytes.Clone(whole[:len(whole)-2]))
	fmt.Println(bytes.Equal(mended, whole), what.EOI, err)
	// Output: true 1 <nil>
}

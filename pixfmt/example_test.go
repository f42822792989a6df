package pixfmt_test

import (
	"fmt"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// A webcam's YUYV as RGB. Neither picture is copied: an Image lies over memory that is
// somebody else's.
func ExampleConvert() {
	yuyv := []byte{255, 128, 0, 128} // a white pixel and a black one
	src, err := pixfmt.View(frame.YUYV, 2, 1, 0, yuyv)
	if err != nil {
		fmt.Println(err)
		return
	}
	rgb := make([]byte, pixfmt.Size(frame.RGB24, 2, 1, 0))
	dst, err := pixfmt.View(frame.RGB24, 2, 1, 0, rgb)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pixfmt.Convert(&dst, &src), rgb)
	// Output: <nil> [255 255 255 0 0 0]
}

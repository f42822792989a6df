package wire_test

import (
	"fmt"

	"framepipe/frame"
	"framepipe/wire"
)

// A frame's header as bytes, and read back as a receiver does: the prefix first, which
// says how much follows, held against a limit before any memory is taken.
func ExampleAppendFrame() {
	payload := []byte("a picture")
	meta := frame.Meta{Seq: 42, Format: frame.JPEG, Width: 640, Height: 480}
	message := append(wire.AppendFrame(nil, &meta, len(payload)), payload...)

	prefix, err := wire.ParsePrefix(message[:wire.PrefixSize], 32<<20)
	if err != nil {
		fmt.Println(err)
		return
	}
	header, rest := message[wire.PrefixSize:][:prefix.Header], message[wire.PrefixSize+prefix.Header:]
	var got frame.Meta
	if err := wire.ParseFrame(header, &got); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("frame %d, %s %dx%d: %s\n", got.Seq, got.Format, got.Width, got.Height, rest[:prefix.Payload])
	// Output: frame 42, JPEG 640x480: a picture
}

// The origin's format is a length and a picture, again and again.
func ExampleAppendV0() {
	message := append(wire.AppendV0(nil, 9), "a picture"...)
	fmt.Printf("%x %d\n", message[:wire.V0HeaderSize], wire.ParseV0(message))
	// Output: 09000000 9
}

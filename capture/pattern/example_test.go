package pattern_test

import (
	"context"
	"fmt"

	"framepipe/capture"
	"framepipe/capture/pattern"
	"framepipe/frame"
)

// Every camera is used like this one, the synthetic: opened with what is wished, asked
// what it gives, pulled.
func ExampleOpen() {
	ctx := context.Background()
	cam, err := pattern.Open(ctx, "pattern", capture.Config{Width: 64, Height: 48, FPS: 100, Format: frame.I420})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cam.Close()
	f, err := cam.Next(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Release()
	fmt.Println(cam.Info().FPS, "fps;", f.Format.Word(), f.Width, f.Height, len(f.Data), f.Captured != 0)
	// Output: 100 fps; yuv 64 48 4608 true
}

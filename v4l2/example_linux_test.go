package v4l2_test

import (
	"fmt"
	"time"

	"framepipe/v4l2"
)

// A camera's name of a control, and what v4l2-ctl and framepipe call it.
func ExampleControlKey() {
	fmt.Println(v4l2.ControlKey("White Balance Temperature, Auto"))
	// Output: white_balance_temperature_auto
}

// Ten frames of a webcam with their sequence numbers and stamps, in the driver's own
// memory. There is no camera where this is compiled; the tests of real drivers do the
// same (test/vm/guest).
func ExampleOpen() {
	d, err := v4l2.Open("/dev/video0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	format, err := d.SetFormat(v4l2.Format{PixelFormat: v4l2.MakeFourCC("MJPG"), Width: 640, Height: 480})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := d.NewStream(4)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Free()
	for i := range s.Len() {
		if err := s.Queue(i); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := s.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer s.Stop()
	for range 10 {
		var b v4l2.Buffer
		if err := s.SetDeadline(time.Now().Add(time.Second)); err != nil {
			fmt.Println(err)
			return
		}
		if err := s.Wait(&b); err != nil {
			fmt.Println(err)
			return
		}
		picture := s.Data(b.Index)[:b.BytesUsed]
		fmt.Println(format.Width, format.Height, b.Sequence, b.Timestamp, len(picture))
		if err := s.Queue(b.Index); err != nil {
			fmt.Println(err)
			return
		}
	}
}

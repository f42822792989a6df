package mjpegstream

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"framepipe/capture"
	"framepipe/mjpeg"
)

// What an MJPEG camera sends: parts with and without lengths, with wrong ones,
// without end. Pictures are parts of it, in order, and the end is reached.
func FuzzMultipart(f *testing.F) {
	jpeg := "\xff\xd8\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00data\xff\xd9"
	part := "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 40\r\n\r\n" + jpeg + "\r\n"
	f.Add([]byte(part+part), []byte("frame"))
	f.Add([]byte(jpeg[:30]+"\r\n--frame\r\n\r\n"+jpeg), []byte("frame"))
	f.Add([]byte(jpeg+jpeg+jpeg), []byte(nil))
	f.Add([]byte("--frame\r\nContent-Length: 99999999999999\r\n\r\n"+jpeg), []byte("--frame"))
	f.Fuzz(func(t *testing.T, b, boundary []byte) {
		c := newCamera(capture.Config{}, bytes.NewReader(b), capture.Info{})
		c.boundary, c.onDemand = boundary, true
		rest := b
		for n := 0; ; n++ {
			fr, err := c.Next(t.Context())
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, mjpeg.ErrNoPicture) && !errors.Is(err, mjpeg.ErrTooLong) {
					t.Errorf("the end is %v", err)
				}
				break
			}
			k := bytes.Index(rest, fr.Data)
			if n > len(b) || k < 0 || len(fr.Data) < 2 || fr.Data[0] != 0xff || fr.Data[1] != 0xd8 {
				t.Fatalf("picture %d, %q, is no part of %q", n, fr.Data, rest)
			}
			rest = rest[k+len(fr.Data):]
			fr.Release()
		}
		if n := c.pool.Out(); n != 0 {
			t.Errorf("%d pictures are not given back", n)
		}
		c.Info()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

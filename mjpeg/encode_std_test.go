package mjpeg

import (
	"fmt"
	"image"
	"image/jpeg"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// stdEncoder uses image/jpeg: the twin that our encoder is compared with.
type stdEncoder struct {
	out     appendWriter
	ycc     image.YCbCr
	grey    image.Gray
	opt     jpeg.Options
	scratch []byte // the picture as I420, where it was something else
}

func newStdEncoder() *stdEncoder { return &stdEncoder{} }

func (e *stdEncoder) Name() string { return "go (image/jpeg)" }

func (e *stdEncoder) Encode(dst []byte, f *frame.Frame, quality int) ([]byte, error) {
	m, err := pixfmt.FrameView(f)
	if err != nil {
		return nil, fmt.Errorf("encoding JPEG: %w", err)
	}
	if m.Format != frame.I420 && m.Format != frame.GREY {
		n := pixfmt.Size(frame.I420, m.Width, m.Height, 0)
		if cap(e.scratch) < n {
			e.scratch = make([]byte, n)
		}
		c, err := pixfmt.View(frame.I420, m.Width, m.Height, 0, e.scratch[:n])
		if err == nil {
			err = pixfmt.Convert(&c, &m)
		}
		if err != nil {
			return nil, fmt.Errorf("encoding JPEG: %w", err)
		}
		m = c
	}
	r := image.Rect(0, 0, m.Width, m.Height)
	var img image.Image
	if m.Format == frame.GREY {
		e.grey = image.Gray{Pix: m.Planes[0], Stride: m.Strides[0], Rect: r}
		img = &e.grey
	} else {
		e.ycc = image.YCbCr{Y: m.Planes[0], Cb: m.Planes[1], Cr: m.Planes[2], YStride: m.Strides[0], CStride: m.Strides[1],
			SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: r}
		img = &e.ycc
	}
	e.out.b = dst[:0]
	e.opt.Quality = min(max(quality, 1), 100)
	err = jpeg.Encode(&e.out, img, &e.opt)
	b := e.out.b
	e.out.b, e.ycc, e.grey = nil, image.YCbCr{}, image.Gray{} // the frame is not ours to hold
	if err != nil {
		return nil, fmt.Errorf("encoding JPEG: %w", err)
	}
	return b, nil
}

// appendWriter has the methods that keep image/jpeg from buffering once more.
type appendWriter struct{ b []byte }

func (w *appendWriter) Write(p []byte) (int, error) { w.b = append(w.b, p...); return len(p), nil }
func (w *appendWriter) WriteByte(c byte) error      { w.b = append(w.b, c); return nil }
func (w *appendWriter) Flush() error                { return nil }

package glass

import (
	"context"
	"image"
	"image/color"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
	"framepipe/stream"
)

// Watcher reads a camera's frames into a Meter and keeps the newest picture.
type Watcher struct {
	Meter *Meter
	feed  *stream.Feed

	mu      sync.Mutex
	picture Luma // guarded by mu; a copy, of now and then
	reading Reading
	read    bool
	taken   time.Time
}

// Watch returns a watcher of f's frames.
func Watch(f *stream.Feed) *Watcher { return &Watcher{Meter: NewMeter(), feed: f} }

// Run reads frames until ctx ends. It takes the newest one each time, as every
// viewer does.
func (w *Watcher) Run(ctx context.Context) {
	v := w.feed.Hub.Subscribe()
	defer v.Close()
	dec := mjpeg.NewDecoder(mjpeg.Limits{})
	var r Reader
	var buf []byte
	for {
		fr, err := v.Next(ctx)
		if err != nil {
			return
		}
		var l Luma
		if buf, l, err = luma(dec, buf, fr); err == nil {
			var got Reading
			got, err = r.Read(&l)
			w.keep(&l, got, err == nil)
			synced, bound := time.Duration(-1), time.Duration(0)
			if o := w.feed.Clock(); o.Known && fr.Captured != 0 {
				synced, bound = max(0, fr.Delivered.Sub(o.ToReceiver(fr.Captured))), o.ErrorAt(fr.Captured)
			}
			w.Meter.Frame(got, err, fr.Delivered, synced, bound)
		}
		fr.Release()
	}
}

// luma is a frame's brightness, in buf.
func luma(dec mjpeg.Decoder, buf []byte, fr *frame.Frame) ([]byte, Luma, error) {
	if fr.Format == frame.JPEG {
		out, w, h, err := dec.Decode(buf, fr.Data, frame.GREY)
		return out, Luma{out, w, h, w}, err
	}
	src, err := pixfmt.FrameView(fr)
	if err != nil {
		return buf, Luma{}, err
	}
	n := pixfmt.Size(frame.GREY, src.Width, src.Height, src.Width)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	dst, err := pixfmt.View(frame.GREY, src.Width, src.Height, src.Width, buf)
	if err == nil {
		err = pixfmt.Convert(&dst, &src)
	}
	return buf, Luma{buf, src.Width, src.Height, src.Width}, err
}

// keep copies a picture twice a second.
func (w *Watcher) keep(l *Luma, r Reading, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.taken) < 500*time.Millisecond {
		return
	}
	w.taken = time.Now()
	w.picture = Luma{append(w.picture.Pix[:0], l.Pix...), l.Width, l.Height, l.Stride}
	w.reading, w.read = r, ok
}

// State is the meter's.
func (w *Watcher) State() State {
	s := w.Meter.State()
	s.Camera = w.feed.Name()
	return s
}

// Picture shows what was seen, with the code's outline and where it was read: bits
// that are 1 green, 0 blue, undecided red. It is nil while there is none.
func (w *Watcher) Picture() image.Image {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.picture
	if l.Width == 0 {
		return nil
	}
	img := image.NewRGBA(image.Rect(0, 0, l.Width, l.Height))
	for y := range l.Height {
		for x := range l.Width {
			v := l.Pix[y*l.Stride+x]
			img.SetRGBA(x, y, color.RGBA{v, v, v, 255})
		}
	}
	if !w.read {
		return img
	}
	m := mapTo(w.reading.Corners)
	dot := func(p Point, r int, c color.RGBA) {
		for y := -r; y <= r; y++ {
			for x := -r; x <= r; x++ {
				img.SetRGBA(int(p.X)+x, int(p.Y)+y, c)
			}
		}
	}
	for i := range 4 {
		a, b := w.reading.Corners[i], w.reading.Corners[(i+1)%4]
		for k := range 1000 {
			f := float64(k) / 1000
			dot(Point{a.X + f*(b.X-a.X), a.Y + f*(b.Y-a.Y)}, 1, color.RGBA{45, 212, 191, 255})
		}
	}
	for i := range Bits {
		c := color.RGBA{56, 189, 248, 255}
		if w.reading.Gray>>(Bits-1-i)&1 == 1 {
			c = color.RGBA{74, 222, 128, 255}
		}
		if w.reading.Undecided>>(Bits-1-i)&1 == 1 {
			c = color.RGBA{251, 113, 133, 255}
		}
		col, row := bitCell(i)
		dot(m.at(float64(col)+.5, float64(row)+.5), max(1, int(w.reading.Cell/10)), c)
	}
	return img
}

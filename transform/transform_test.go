package transform

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"strings"
	"testing"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

type owner struct{ back int }

func (o *owner) Recycle(*frame.Frame) { o.back++ }

// corners is a picture whose four quarters differ: luma 40, 80 above 120, 160.
func corners(t testing.TB, f frame.FourCC, w, h int, o frame.Owner) *frame.Frame {
	t.Helper()
	p := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for y := range h {
		for x := range w {
			v := 40
			if 2*x >= w {
				v += 40
			}
			if 2*y >= h {
				v += 80
			}
			p.Y[p.YOffset(x, y)] = byte(v)
		}
	}
	for i := range p.Cb {
		p.Cb[i], p.Cr[i] = 128, 128
	}
	var data []byte
	switch f {
	case frame.JPEG:
		var b bytes.Buffer
		if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		data = bytes.Clone(b.Bytes())
	default:
		src := pixfmt.Image{Format: frame.I420, Width: w, Height: h, Planes: [3][]byte{p.Y, p.Cb, p.Cr}, Strides: [3]int{p.YStride, p.CStride, p.CStride}}
		data = make([]byte, pixfmt.Size(f, w, h, 0))
		dst, err := pixfmt.View(f, w, h, 0, data)
		if err == nil {
			err = pixfmt.Convert(&dst, &src)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fr := frame.New(data, o)
	fr.Format, fr.Width, fr.Height = f, w, h
	if f != frame.JPEG {
		fr.Stride = pixfmt.Stride(f, w)
	} else {
		fr.Width, fr.Height = 0, 0
	}
	fr.Seq, fr.Captured, fr.Dequeued, fr.StampKind = 7, 100, 200, frame.StampTick
	fr.Counts.Offered = 7
	return fr
}

// quarters reads the grey values in the middle of each quarter of a frame.
func quarters(t testing.TB, f *frame.Frame) [4]int {
	t.Helper()
	data, w, h := f.Data, f.Width, f.Height
	if f.Format == frame.JPEG {
		img, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if img.Bounds().Dx() != w || img.Bounds().Dy() != h {
			t.Fatalf("frame says %dx%d, JPEG is %v", w, h, img.Bounds())
		}
		at := func(x, y int) int { return int(color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y) }
		return [4]int{at(w/4, h/4), at(3*w/4, h/4), at(w/4, 3*h/4), at(3*w/4, 3*h/4)}
	}
	src, err := pixfmt.FrameView(f)
	if err != nil {
		t.Fatal(err)
	}
	if n := pixfmt.Size(f.Format, w, h, 0); n != len(data) {
		t.Fatalf("%s %dx%d has %d bytes, tight is %d", f.Format, w, h, len(data), n)
	}
	g, _ := pixfmt.View(frame.GREY, w, h, 0, make([]byte, w*h))
	if err := pixfmt.Convert(&g, &src); err != nil {
		t.Fatal(err)
	}
	at := func(x, y int) int { return int(g.Planes[0][y*w+x]) }
	return [4]int{at(w/4, h/4), at(3*w/4, h/4), at(w/4, 3*h/4), at(3*w/4, 3*h/4)}
}

func TestEveryWay(t *testing.T) {
	ins := []frame.FourCC{frame.JPEG, frame.I420, frame.NV12, frame.YUYV, frame.RGB24, frame.BGR24, frame.GREY}
	outs := []frame.FourCC{frame.JPEG, frame.I420, frame.RGB24, frame.BGR24, frame.GREY, frame.NV12, frame.YUYV, frame.UYVY}
	for _, in := range ins {
		for _, out := range outs {
			for _, c := range []Config{{}, {Width: 32, Height: 24}, {Rotate: 90}, {Rotate: 180, Width: 20}, {FlipH: true}, {Rotate: 270, FlipV: true, Width: 32, Height: 24}} {
				c.Format = out
				t.Run(fmt.Sprintf("%s-%s-%dx%d-%d-%v-%v", in.Word(), out.Word(), c.Width, c.Height, c.Rotate, c.FlipH, c.FlipV), func(t *testing.T) {
					s, err := New(c)
					if err != nil {
						t.Fatal(err)
					}
					var o owner
					var got *frame.Frame
					for range 3 { // the second and third run reuse buffers
						f := corners(t, in, 64, 48, &o)
						if got, err = s.Do(f); err != nil {
							t.Fatal(err)
						}
						if got != f && o.back == 0 {
							t.Error("input not released")
						}
						if in == out && c == (Config{Format: out}) && got != f {
							t.Errorf("copied for nothing: %s", s.Describe())
						}
						defer got.Release()
					}
					w, h := 64, 48
					if c.Width > 0 {
						w = c.Width
					}
					if c.Height > 0 {
						h = c.Height
					}
					w, h = pixfmt.Oriented(w, h, c.Rotate)
					if got.Width != w || got.Height != h || got.Format != out {
						t.Fatalf("%s %dx%d, want %s %dx%d", got.Format, got.Width, got.Height, out, w, h)
					}
					if got.Seq != 7 || got.Captured != 100 || got.Dequeued != 200 || got.Encoded < 200 || got.Counts.Offered != 7 || got.StampKind != frame.StampTick {
						t.Errorf("meta lost: %+v", got.Meta)
					}
					want := [4]int{40, 80, 120, 160}
					switch c.Rotate {
					case 90:
						want = [4]int{120, 40, 160, 80}
					case 180:
						want = [4]int{160, 120, 80, 40}
					case 270:
						want = [4]int{80, 160, 40, 120}
					}
					if c.FlipH {
						want = [4]int{want[1], want[0], want[3], want[2]}
					}
					if c.FlipV {
						want = [4]int{want[2], want[3], want[0], want[1]}
					}
					q := quarters(t, got)
					for i := range q {
						if d := q[i] - want[i]; d < -6 || d > 6 {
							t.Fatalf("quarters %v, want %v (%s)", q, want, s.Describe())
						}
					}
				})
			}
		}
	}
}

func TestPassThroughRepairs(t *testing.T) {
	s, _ := New(Config{})
	var o owner
	f := corners(t, frame.JPEG, 64, 48, &o)
	f.Data = append(f.Data, 0, 0, 0)
	got, err := s.Do(f)
	if err != nil || got != f || got.Width != 64 || got.Height != 48 || got.Encoded != got.Dequeued {
		t.Fatalf("%v %+v", err, got)
	}
	if r := s.Repaired(); r != (mjpeg.Repairs{Trailing: 3}) || s.Describe() != "pass-through" {
		t.Errorf("%+v %s", r, s.Describe())
	}
	shared := got.Data[: len(got.Data)-2 : len(got.Data)]
	keep := bytes.Clone(shared[:cap(shared)])
	f2 := frame.New(shared, &o)
	f2.Format = frame.JPEG
	got2, err := s.Do(f2)
	if err != nil || s.Repaired().EOI != 1 || !bytes.HasSuffix(got2.Data, []byte{0xff, 0xd9}) {
		t.Fatalf("%v %+v", err, s.Repaired())
	}
	if !bytes.Equal(keep, shared[:cap(shared)]) {
		t.Error("wrote to the camera's memory")
	}
	if o.back != 1 {
		t.Errorf("%d released, want 1", o.back)
	}
}

func TestDecodingShrinksAndForgives(t *testing.T) {
	var o owner
	whole := corners(t, frame.JPEG, 640, 480, nil).Data
	for _, c := range []struct {
		w, h int
		want string
	}{
		{320, 240, "decode at 1/2 to yuv by "}, {200, 150, "decode at 1/2 to yuv by "}, {80, 60, "decode at 1/8 to yuv by "}, {640, 60, "decode to yuv by "},
	} {
		s, _ := New(Config{Format: frame.I420, Width: c.w, Height: c.h})
		do := func(data []byte) *frame.Frame {
			f := frame.New(data, &o)
			f.Format = frame.JPEG
			got, err := s.Do(f)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		got := do(whole)
		if got.Width != c.w || got.Height != c.h || !strings.HasPrefix(s.Describe(), c.want) || strings.Contains(s.Describe(), "scale") != (c.w == 200 || c.w == 640) {
			t.Errorf("%dx%d: %s gives %dx%d", c.w, c.h, s.Describe(), got.Width, got.Height)
		}
		if q := quarters(t, got); q[0]-40 > 2 || 160-q[3] > 2 {
			t.Errorf("%dx%d: %v", c.w, c.h, q)
		}
		got.Release()
		if r := s.Repaired(); r.Any() {
			t.Errorf("%+v", r)
		}
		got = do(whole[:len(whole)*3/4])
		if q := quarters(t, got); q[0]-40 > 2 || s.Repaired() != (mjpeg.Repairs{EOI: 1, Damaged: 1}) {
			t.Errorf("%dx%d, damaged: %v %+v", c.w, c.h, q, s.Repaired())
		}
		got.Release()
	}
}

func TestFailuresRelease(t *testing.T) {
	var o owner
	s, _ := New(Config{Format: frame.RGB24})
	good := corners(t, frame.JPEG, 64, 48, nil).Data
	cases := []*frame.Frame{}
	add := func(f frame.FourCC, w, h int, b []byte) {
		fr := frame.New(b, &o)
		fr.Format, fr.Width, fr.Height = f, w, h
		cases = append(cases, fr)
	}
	add(frame.JPEG, 0, 0, nil)
	add(frame.JPEG, 0, 0, []byte("not a picture"))
	add(frame.JPEG, 0, 0, good[:len(good)/2])
	add(frame.I420, 64, 48, make([]byte, 100))
	add(frame.RGB24, 64, 48, make([]byte, 100))
	add(frame.I420, 0, 0, make([]byte, 100))
	add(frame.MakeFourCC('H', '2', '6', '4'), 64, 48, make([]byte, 100_000))
	for i, f := range cases {
		if out, err := s.Do(f); err == nil || out != nil {
			t.Errorf("case %d: %v, %v", i, out, err)
		}
	}
	if o.back != len(cases) || s.pool.Out() != 0 {
		t.Errorf("%d of %d released, %d of the pool out", o.back, len(cases), s.pool.Out())
	}
}

func TestRawStrideIsRemoved(t *testing.T) {
	s, _ := New(Config{Format: frame.GREY})
	f := frame.New([]byte{1, 2, 9, 3, 4, 9}, nil)
	f.Format, f.Width, f.Height, f.Stride = frame.GREY, 2, 2, 3
	out, err := s.Do(f)
	if err != nil || !bytes.Equal(out.Data, []byte{1, 2, 3, 4}) || out.Stride != 2 {
		t.Fatalf("%v %v", out, err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Rotate: 45}, {Quality: 101}, {Quality: -1}, {Width: -1}, {Height: 70000}, {Format: 1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v accepted", c)
		}
	}
}

func TestQualityMattersAndSteadyStateIsCheap(t *testing.T) {
	s, _ := New(Config{})
	var o owner
	f := corners(t, frame.YUYV, 320, 240, &o)
	size := func(q int) int {
		s.SetQuality(q)
		out, err := s.Do(f.Retain())
		if err != nil {
			t.Fatal(err)
		}
		defer out.Release()
		return len(out.Data)
	}
	if a, b := size(20), size(95); a >= b {
		t.Errorf("q20 gives %d bytes, q95 %d", a, b)
	}
	raw, _ := New(Config{Format: frame.RGB24, Rotate: 90, Width: 160, Height: 120})
	do := func() {
		out, err := raw.Do(f.Retain())
		if err != nil {
			t.Fatal(err)
		}
		out.Release()
	}
	do()
	if n := testing.AllocsPerRun(50, do); n != 0 {
		t.Errorf("%v allocations per raw frame", n)
	}
}

package pixfmt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"framepipe/frame"
)

func compareConversion(t *testing.T, dst, src *Image) {
	t.Helper()
	if err := Convert(dst, src); err != nil {
		t.Fatal(err)
	}
	for y := range src.Height {
		for x := range src.Width {
			if isRGB(dst.Format) {
				r, g, b := refRGB(src, x, y)
				if gr, gg, gb := refRGB(dst, x, y); gr != r || gg != g || gb != b {
					t.Fatalf("%s->%s %dx%d at %d,%d: %d,%d,%d want %d,%d,%d", src.Format, dst.Format, src.Width, src.Height, x, y, gr, gg, gb, r, g, b)
				}
				continue
			}
			want, _, _ := refYUV(src, x, y)
			if got, _, _ := refYUV(dst, x, y); got != want {
				t.Fatalf("%s->%s %dx%d luma at %d,%d: %d want %d", src.Format, dst.Format, src.Width, src.Height, x, y, got, want)
			}
			if dst.Format != frame.GREY {
				u, v := refChroma(src, x/2, y/2)
				if dst.Format == src.Format {
					_, u, v = refYUV(src, x, y)
				}
				if _, gu, gv := refYUV(dst, x, y); gu != u || gv != v {
					t.Fatalf("%s->%s %dx%d chroma at %d,%d: %d,%d want %d,%d", src.Format, dst.Format, src.Width, src.Height, x/2, y/2, gu, gv, u, v)
				}
			}
		}
	}
}

func TestConvertAgreesWithTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := [][2]int{{1, 1}, {2, 1}, {1, 2}, {3, 3}, {2, 2}, {16, 8}, {33, 17}, {34, 5}, {7, 64}}
	for _, from := range all {
		for _, to := range all {
			if !Convertible(to, from) {
				d, s := random(rng, to, 4, 4, 0, 0), random(rng, from, 4, 4, 0, 0)
				if err := Convert(&d, &s); !errors.Is(err, ErrUnsupported) {
					t.Errorf("%s->%s: %v, want ErrUnsupported", from, to, err)
				}
				continue
			}
			t.Run(from.String()+"-"+to.String(), func(t *testing.T) {
				for _, wh := range sizes {
					for _, more := range [][2]int{{0, 0}, {5, 3}} {
						src := random(rng, from, wh[0], wh[1], more[0], more[1])
						dst := random(rng, to, wh[0], wh[1], more[0], more[1])
						compareConversion(t, &dst, &src)
					}
				}
			})
		}
	}
}

func TestConvertTouchesOnlyThePicture(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, from := range all {
		for _, to := range all {
			if !Convertible(to, from) {
				continue
			}
			src, dst := random(rng, from, 5, 3, 0, 0), random(rng, to, 5, 3, 4, 2)
			var before [3][]byte
			for i := range dst.Planes {
				before[i] = bytes.Clone(dst.Planes[i])
			}
			if err := Convert(&dst, &src); err != nil {
				t.Fatal(err)
			}
			for i, s := range shapeOf(to) {
				for o, v := range dst.Planes[i] {
					if y, x := o/dst.Strides[i], o%dst.Strides[i]; (y >= s.rows(3) || x >= s.rowBytes(5)) && v != before[i][o] {
						t.Fatalf("%s->%s wrote into the padding of plane %d at %d,%d", from, to, i, x, y)
					}
				}
			}
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add(uint8(0), uint8(1), uint8(3), uint8(3), uint8(0), uint64(1))
	f.Add(uint8(4), uint8(0), uint8(17), uint8(5), uint8(9), uint64(2))
	f.Fuzz(func(t *testing.T, from, to, w, h, more uint8, seed uint64) {
		a, b := all[int(from)%len(all)], all[int(to)%len(all)]
		if !Convertible(b, a) || w == 0 || h == 0 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		src := random(rng, a, int(w), int(h), int(more&7), int(more>>6))
		dst := random(rng, b, int(w), int(h), int(more>>3&7), int(more>>6))
		compareConversion(t, &dst, &src)
	})
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		f            frame.FourCC
		w, h, stride int
		want         int
	}{
		{frame.I420, 320, 240, 0, 115200}, {frame.RGB24, 320, 240, 0, 230400}, {frame.GREY, 320, 240, 0, 76800},
		{frame.I420, 3, 3, 0, 9 + 2*4}, {frame.NV12, 3, 3, 0, 4*3 + 4*2}, {frame.YUYV, 3, 3, 0, 24},
		{frame.I420, 4056, 3040, 4096, 18677760}, // rpicam-apps #151
		{frame.I420, 320, 240, 319, 0}, {frame.JPEG, 320, 240, 0, 0}, {frame.I420, 0, 240, 0, 0}, {frame.I420, -1, 240, 0, 0},
		{frame.RGB24, 65535, 65535, 0, 0}, {frame.RGB24, 65536, 1, 0, 0},
	} {
		if got := Size(c.f, c.w, c.h, c.stride); got != c.want {
			t.Errorf("Size(%s, %d, %d, %d) = %d, want %d", c.f, c.w, c.h, c.stride, got, c.want)
		}
	}
}

func TestUnpad(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, f := range all {
		for _, wh := range [][2]int{{330, 250}, {320, 240}, {1, 1}, {33, 17}, {352, 250}, {330, 256}} {
			w, h := wh[0], wh[1]
			t.Run(fmt.Sprintf("%s-%dx%d", f, w, h), func(t *testing.T) {
				pw, ph := PaddedSize(w, h)
				big := random(rng, f, pw, ph, 0, 0)
				data := make([]byte, 0, Size(f, pw, ph, 0))
				for i := range shapeOf(f) {
					data = append(data, big.Planes[i]...)
				}
				want, _ := View(f, w, h, 0, make([]byte, Size(f, w, h, 0)))
				from, _ := ViewPadded(f, w, h, Stride(f, pw), ph, data)
				if err := Convert(&want, &from); err != nil {
					t.Fatal(err)
				}
				out, padded, err := Unpad(data, data, f, w, h)
				if err != nil {
					t.Fatal(err)
				}
				if padded != (len(data) != Size(f, w, h, 0)) {
					t.Errorf("padded = %v", padded)
				}
				if &out[0] != &data[0] {
					t.Error("moved elsewhere although there was room")
				}
				got, err := View(f, w, h, 0, out)
				if err != nil || len(out) != Size(f, w, h, 0) {
					t.Fatalf("%d bytes, %v", len(out), err)
				}
				for i, s := range shapeOf(f) {
					for y := range s.rows(h) {
						if n := s.rowBytes(w); !bytes.Equal(got.row(i, y, n), want.row(i, y, n)) {
							t.Fatalf("plane %d row %d differs", i, y)
						}
					}
				}
			})
		}
	}
	if _, _, err := Unpad(nil, make([]byte, 1000), frame.I420, 320, 240); !errors.Is(err, ErrSize) {
		t.Errorf("a length that fits nothing: %v", err)
	}
	if _, _, err := Unpad(nil, nil, frame.I420, 0, 0); !errors.Is(err, ErrSize) {
		t.Errorf("no size: %v", err)
	}
}

func TestViewRefusesShortBuffers(t *testing.T) {
	for _, f := range all {
		n := Size(f, 33, 17, 0)
		if _, err := View(f, 33, 17, 0, make([]byte, n-1)); !errors.Is(err, ErrShort) {
			t.Errorf("%s: %v", f, err)
		}
	}
	d, _ := View(frame.GREY, 4, 4, 0, make([]byte, 16))
	bad := Image{Format: frame.GREY, Width: 4, Height: 4, Strides: [3]int{4}, Planes: [3][]byte{make([]byte, 15)}}
	if err := Convert(&d, &bad); !errors.Is(err, ErrShort) {
		t.Errorf("hand-made short picture: %v", err)
	}
	bad.Strides[0] = -4
	if err := Convert(&d, &bad); !errors.Is(err, ErrSize) {
		t.Errorf("negative stride: %v", err)
	}
}

func refScale(p, o []byte, sw, sh, dw, dh, unit int) {
	for dy := range dh {
		for dx := range dw {
			for c := range unit {
				sum := 0
				for y := range sh {
					wy := max(0, min((dy+1)*sh, (y+1)*dh)-max(dy*sh, y*dh))
					for x := range sw {
						wx := max(0, min((dx+1)*sw, (x+1)*dw)-max(dx*sw, x*dw))
						sum += int(p[(y*sw+x)*unit+c]) * wx * wy
					}
				}
				o[(dy*dw+dx)*unit+c] = byte((sum + sw*sh/2) / (sw * sh))
			}
		}
	}
}

func compareScale(t *testing.T, s *Scaler, dst, src *Image) {
	t.Helper()
	if err := s.Scale(dst, src); err != nil {
		t.Fatal(err)
	}
	for i, p := range shapeOf(src.Format) {
		sw, sh, dw, dh := p.cols(src.Width), p.rows(src.Height), p.cols(dst.Width), p.rows(dst.Height)
		var flat []byte
		for y := range sh {
			flat = append(flat, src.row(i, y, sw*p.unit)...)
		}
		want := make([]byte, dw*dh*p.unit)
		refScale(flat, want, sw, sh, dw, dh, p.unit)
		for y := range dh {
			if got := dst.row(i, y, dw*p.unit); !bytes.Equal(got, want[y*dw*p.unit:(y+1)*dw*p.unit]) {
				t.Fatalf("%s %dx%d to %dx%d plane %d row %d: %v want %v", src.Format, src.Width, src.Height, dst.Width, dst.Height, i, y, got, want[y*dw*p.unit:(y+1)*dw*p.unit])
			}
		}
	}
}

// turnable are the formats that are scaled and turned as they are.
var turnable = []frame.FourCC{frame.I420, frame.NV12, frame.RGB24, frame.BGR24, frame.GREY}

func TestScaleAgreesWithTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var s Scaler
	for _, f := range turnable {
		for _, c := range [][4]int{{8, 8, 4, 4}, {9, 7, 4, 3}, {16, 16, 5, 1}, {5, 5, 5, 5}, {4, 4, 7, 9}, {33, 17, 16, 9}, {1, 1, 3, 3}, {32, 8, 32, 4}} {
			src, dst := random(rng, f, c[0], c[1], 3, 1), random(rng, f, c[2], c[3], 2, 0)
			compareScale(t, &s, &dst, &src)
		}
	}
}

func compareOrient(t *testing.T, dst, src *Image, rot int, fh, fv bool) {
	t.Helper()
	if err := Orient(dst, src, rot, fh, fv); err != nil {
		t.Fatal(err)
	}
	for i, p := range shapeOf(src.Format) {
		dw, dh := p.cols(dst.Width), p.rows(dst.Height)
		for y := range dh {
			for x := range dw {
				tx, ty := x, y
				if fh {
					tx = dw - 1 - x
				}
				if fv {
					ty = dh - 1 - y
				}
				// Undo the clockwise rotation.
				sx, sy := tx, ty
				switch rot {
				case 90:
					sx, sy = ty, dw-1-tx
				case 180:
					sx, sy = dw-1-tx, dh-1-ty
				case 270:
					sx, sy = dh-1-ty, tx
				}
				for c := range p.unit {
					if got, want := dst.at(i, x*p.unit+c, y), src.at(i, sx*p.unit+c, sy); got != want {
						t.Fatalf("%s rotate %d flips %v %v plane %d at %d,%d: %d want %d", src.Format, rot, fh, fv, i, x, y, got, want)
					}
				}
			}
		}
	}
}

func TestOrientAgreesWithTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, f := range turnable {
		for _, rot := range []int{0, 90, 180, 270} {
			for flips := range 4 {
				src := random(rng, f, 7, 5, 3, 1)
				w, h := Oriented(7, 5, rot)
				dst := random(rng, f, w, h, 1, 1)
				compareOrient(t, &dst, &src, rot, flips&1 != 0, flips&2 != 0)
			}
		}
	}
}

func FuzzScaleAndOrient(f *testing.F) {
	f.Add(uint8(0), uint8(9), uint8(7), uint8(4), uint8(3), uint8(5), uint64(1))
	f.Add(uint8(2), uint8(1), uint8(60), uint8(33), uint8(2), uint8(11), uint64(2))
	f.Fuzz(func(t *testing.T, format, w, h, dw, dh, how uint8, seed uint64) {
		if w == 0 || h == 0 || dw == 0 || dh == 0 {
			return
		}
		ff := turnable[int(format)%len(turnable)]
		rng := rand.New(rand.NewPCG(seed, 0))
		src := random(rng, ff, int(w), int(h), int(how>>4&3), int(how>>6))
		scaled := random(rng, ff, int(dw), int(dh), 1, 0)
		compareScale(t, new(Scaler), &scaled, &src)
		rot := int(how&3) * 90
		tw, th := Oriented(int(w), int(h), rot)
		turned := random(rng, ff, tw, th, 2, 0)
		compareOrient(t, &turned, &src, rot, how&4 != 0, how&8 != 0)
	})
}

func TestNothingAllocates(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	src, dst, small := random(rng, frame.YUYV, 64, 48, 0, 0), random(rng, frame.I420, 64, 48, 0, 0), random(rng, frame.I420, 32, 24, 0, 0)
	var s Scaler
	if n := testing.AllocsPerRun(20, func() {
		if Convert(&dst, &src) != nil || s.Scale(&small, &dst) != nil {
			t.Fatal("failed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkConvert640x480(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range [][2]frame.FourCC{{frame.YUYV, frame.I420}, {frame.NV12, frame.I420}, {frame.I420, frame.RGB24}, {frame.RGB24, frame.I420}, {frame.YUYV, frame.RGB24}} {
		src, dst := random(rng, c[0], 640, 480, 0, 0), random(rng, c[1], 640, 480, 0, 0)
		b.Run(c[0].String()+"-"+c[1].String(), func(b *testing.B) {
			b.SetBytes(640 * 480 * 3 / 2)
			for b.Loop() {
				if err := Convert(&dst, &src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

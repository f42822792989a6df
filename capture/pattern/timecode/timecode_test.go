package timecode

import (
	"math/rand/v2"
	"testing"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

// paint makes a grey picture with the code over random contents.
func paint(w, h int, number uint64, at frame.SenderTime) []byte {
	rng := rand.New(rand.NewPCG(number, 1))
	b := make([]byte, w*h)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	for i, on := range Encode(number, at) {
		x0, y0, x1, y1 := Block(i, w, h)
		v := byte(Black)
		if on {
			v = White
		}
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				b[y*w+x] = v
			}
		}
	}
	return b
}

// blur is a box blur of radius r in both directions.
func blur(b []byte, w, h, r int) []byte {
	line := func(out, in []byte, n, step int) {
		for i := range n {
			sum, k := 0, 0
			for j := max(0, i-r); j <= min(n-1, i+r); j++ {
				sum, k = sum+int(in[j*step]), k+1
			}
			out[i*step] = byte(sum / k)
		}
	}
	across, out := make([]byte, len(b)), make([]byte, len(b))
	for y := range h {
		line(across[y*w:], b[y*w:], w, 1)
	}
	for x := range w {
		line(out[x:], across[x:], h, w)
	}
	return out
}

func TestSurvives(t *testing.T) {
	scale := func(b []byte, w, h, dw, dh int) []byte {
		src, _ := pixfmt.View(frame.GREY, w, h, 0, b)
		dst, _ := pixfmt.View(frame.GREY, dw, dh, 0, make([]byte, dw*dh))
		if err := new(pixfmt.Scaler).Scale(&dst, &src); err != nil {
			t.Fatal(err)
		}
		return dst.Planes[0]
	}
	jpeg := func(b []byte, w, h, q int) []byte {
		f := frame.New(b, nil)
		f.Format, f.Width, f.Height = frame.GREY, w, h
		j, err := mjpeg.NewEncoder().Encode(nil, f, q)
		if err != nil {
			t.Fatal(err)
		}
		out, _, _, err := mjpeg.NewDecoder(mjpeg.Limits{}).Decode(nil, j, frame.GREY)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, wh := range [][2]int{{320, 240}, {640, 480}, {1280, 720}, {330, 250}} {
		w, h := wh[0], wh[1]
		for i, number := range []uint64{0, 0x55555555, 123456789012} {
			if w > 1000 && i > 0 {
				break // large pictures are slow, and easier to read
			}
			at := frame.SenderTime(1_000_000_007 * (i + 1) * 99991)
			pic := paint(w, h, number, at)
			for name, img := range map[string]struct {
				b    []byte
				w, h int
			}{
				"as it is":                 {pic, w, h},
				"q50":                      {jpeg(pic, w, h, 50), w, h},
				"q10":                      {jpeg(pic, w, h, 10), w, h},
				"half":                     {scale(pic, w, h, w/2, h/2), w / 2, h / 2},
				"twice":                    {scale(pic, w, h, 2*w, 2*h), 2 * w, 2 * h},
				"0.7":                      {scale(pic, w, h, w*7/10, h*7/10), w * 7 / 10, h * 7 / 10},
				"blurred":                  {blur(pic, w, h, w/100), w, h},
				"half of blurred, at q50":  {jpeg(scale(blur(pic, w, h, w/160), w, h, w/2, h/2), w/2, h/2, 50), w / 2, h / 2},
				"another shape":            {scale(pic, w, h, w/2, h), w / 2, h},
				"low contrast":             {fade(pic), w, h},
				"not the frame's own size": {scale(pic, w, h, w+37, h-21), w + 37, h - 21},
			} {
				n, got, ok := ReadCode(img.b, img.w, img.h, img.w)
				if !ok || n != uint32(number) || got != Truncate(at) {
					t.Errorf("%dx%d frame %d, %s: %d, %d, %v; want %d, %d", w, h, number, name, n, got, ok, uint32(number), Truncate(at))
				}
			}
		}
	}
}

func fade(b []byte) []byte {
	out := make([]byte, len(b))
	for i, v := range b {
		out[i] = 90 + v/5
	}
	return out
}

func TestFalseCodesAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	pic := paint(320, 240, 77, 5e9)
	accepted := 0
	for range 300 {
		b := append([]byte(nil), pic...)
		for range 1 + rng.IntN(20) { // turn some blocks over
			x0, y0, x1, y1 := Block(rng.IntN(Rows*Columns), 320, 240)
			for y := y0; y < y1; y++ {
				for x := x0; x < x1; x++ {
					b[y*320+x] = 251 - b[y*320+x]
				}
			}
		}
		if n, at, ok := ReadCode(b, 320, 240, 320); ok && (n != 77 || at != 5e9) {
			accepted++
		}
	}
	if accepted > 2 { // a 16-bit checksum lets one in 65536 pass
		t.Errorf("%d false codes accepted", accepted)
	}
	for _, b := range [][]byte{make([]byte, 320*240), nil, pic[:1000]} {
		if _, _, ok := ReadCode(b, 320, 240, 320); ok {
			t.Errorf("read a code in %d bytes of nothing", len(b))
		}
	}
}

func TestBlocksAreLargeEnough(t *testing.T) {
	for i := range Rows * Columns {
		if x0, y0, x1, y1 := Block(i, 320, 240); x1-x0 < 16 || y1-y0 < 16 || y1 > 240 || x1 > 320 {
			t.Fatalf("block %d is %d,%d..%d,%d", i, x0, y0, x1, y1)
		}
	}
}

func FuzzReadCode(f *testing.F) {
	f.Add(paint(80, 60, 9, 1), 80, 60, 80)
	f.Add([]byte{1, 2}, 1<<30, 1<<30, 1<<30)
	f.Fuzz(func(t *testing.T, b []byte, w, h, stride int) { ReadCode(b, w, h, stride) })
}

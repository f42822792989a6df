package mjpeg

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// filled is an I420 or grey frame with contents of several kinds.
func filled(f frame.FourCC, w, h int, kind int, rng *rand.Rand) *frame.Frame {
	fr := frame.New(make([]byte, pixfmt.Size(f, w, h, 0)), nil)
	fr.Format, fr.Width, fr.Height, fr.Stride = f, w, h, w
	for i := range fr.Data {
		switch kind {
		case 0: // smooth
			fr.Data[i] = byte(128 + 100*math.Sin(float64(i%w)/13+float64(i/w)/9))
		case 1: // noise
			fr.Data[i] = byte(rng.Uint32())
		case 2: // the ends of the scale: the largest coefficients
			fr.Data[i] = byte(rng.IntN(2) * 255)
		case 3: // the basis function with the largest sum
			fr.Data[i] = byte(255 * (i % w / 2 & 1))
		case 4:
			fr.Data[i] = byte(255 * (i % w & 1))
		default:
			fr.Data[i] = byte(kind)
		}
	}
	return fr
}

// planes decodes with image/jpeg and returns the tight planes.
func planes(t *testing.T, b []byte, w, h int) []byte {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, w, h) {
		t.Fatalf("%v, want %dx%d", img.Bounds(), w, h)
	}
	out := []byte{}
	add := func(p []byte, stride, w, h int) {
		for y := range h {
			out = append(out, p[y*stride:y*stride+w]...)
		}
	}
	switch p := img.(type) {
	case *image.Gray:
		add(p.Pix, p.Stride, w, h)
	case *image.YCbCr:
		add(p.Y, p.YStride, w, h)
		add(p.Cb, p.CStride, (w+1)/2, (h+1)/2)
		add(p.Cr, p.CStride, (w+1)/2, (h+1)/2)
	}
	return out
}

func compareEncoders(t *testing.T, f *frame.Frame, q int) (ours, theirs float64, b, std []byte) {
	t.Helper()
	b, err := newGoEncoder().Encode(nil, f, q)
	if err != nil {
		t.Fatal(err)
	}
	if info, r, err := Check(b); err != nil || r.Any() || info.Width != f.Width || info.Height != f.Height {
		t.Fatalf("%+v %+v %v", info, r, err)
	}
	if std, err = newStdEncoder().Encode(nil, f, q); err != nil {
		t.Fatal(err)
	}
	return psnr(planes(t, b, f.Width, f.Height), f.Data), psnr(planes(t, std, f.Width, f.Height), f.Data), b, std
}

func TestEncoderAgreesWithTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, format := range []frame.FourCC{frame.I420, frame.GREY} {
		for _, wh := range [][2]int{{64, 48}, {33, 17}, {1, 1}, {16, 16}, {15, 31}, {160, 120}} {
			for kind := range 7 {
				for _, q := range []int{1, 25, 50, 85, 95, 100} {
					f := filled(format, wh[0], wh[1], kind, rng)
					ours, theirs, b, std := compareEncoders(t, f, q)
					// In few blocks the roundings do not even out, and near losslessness
					// a PSNR means little.
					slack := 0.3
					if wh[0]*wh[1] < 4096 {
						slack = 1
					}
					if min(ours, 50) < min(theirs, 50)-slack {
						t.Errorf("%s %v kind %d q%d: %.2f dB, image/jpeg %.2f", format, wh, kind, q, ours, theirs)
					}
					if len(b) > len(std)+len(std)/50+40 {
						t.Errorf("%s %v kind %d q%d: %d bytes, image/jpeg %d", format, wh, kind, q, len(b), len(std))
					}
				}
			}
		}
	}
}

// Every coefficient is the step nearest to what the definition (T.81, A.3.3) gives.
func TestCoefficientsAreTheNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var cos [8][8]float64 // frequency, place
	for u := range 8 {
		c := 0.5
		if u == 0 {
			c = math.Sqrt(0.125)
		}
		for x := range 8 {
			cos[u][x] = c * math.Cos(float64(2*x+1)*float64(u)*math.Pi/16)
		}
	}
	e := newGoEncoder()
	for round := range 600 {
		e.setQuality([]int{1, 30, 50, 85, 95, 100}[round%6])
		f := filled(frame.GREY, 8, 8, round/6%7, rng)
		for i, v := range f.Data {
			e.block[i] = float32(int32(v) - 128)
		}
		var q [64]int32
		table := round & 1
		mask := e.quantise(&q, table)
		for k, got := range q {
			u, v := int(zigzag[k])%8, int(zigzag[k])/8
			exact := 0.0
			for y := range 8 {
				for x := range 8 {
					exact += (float64(f.Data[8*y+x]) - 128) * cos[u][x] * cos[v][y]
				}
			}
			exact /= float64(e.quant[table][k])
			if d := math.Abs(float64(got) - exact); d > 0.503 {
				t.Fatalf("round %d: coefficient %d is %d, exactly %.4f", round, k, got, exact)
			}
			if (mask>>k&1 != 0) != (got != 0) {
				t.Fatalf("mask %x, coefficient %d is %d", mask, k, got)
			}
		}
	}
}

// The same bytes come out on every machine, whatever it makes of floating point.
func TestEncoderIsTheSameEverywhere(t *testing.T) {
	b, err := newGoEncoder().Encode(nil, filled(frame.I420, 320, 240, 1, rand.New(rand.NewPCG(7, 8))), 90)
	if err != nil {
		t.Fatal(err)
	}
	const want = "652b1beecdc2a82d77bc71c1f2cf668431e1ecf187d8074527bbcf48fd647cc2"
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEncoderStridesAndReuse(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	tight := filled(frame.I420, 50, 30, 1, rng)
	src, _ := pixfmt.FrameView(tight)
	wide := frame.New(make([]byte, pixfmt.Size(frame.I420, 50, 30, 70)), nil)
	wide.Format, wide.Width, wide.Height, wide.Stride = frame.I420, 50, 30, 70
	dst, _ := pixfmt.FrameView(wide)
	if err := pixfmt.Convert(&dst, &src); err != nil {
		t.Fatal(err)
	}
	e := newGoEncoder()
	a, err := e.Encode(nil, tight, 80)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Encode(nil, filled(frame.GREY, 640, 480, 1, rng), 30); err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode(make([]byte, 3, 9), wide, 80)
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("%d and %d bytes, %v: stride, buffer or what was encoded before makes a difference", len(a), len(b), err)
	}
	if n := testing.AllocsPerRun(20, func() { b, _ = e.Encode(b, wide, 80) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := e.Encode(nil, frame.New(nil, nil), 80); err == nil {
		t.Error("a frame without anything was encoded")
	}
}

func FuzzEncode(f *testing.F) {
	f.Add(uint8(40), uint8(30), uint8(1), uint8(85), uint64(1))
	f.Add(uint8(17), uint8(1), uint8(2), uint8(100), uint64(2))
	f.Fuzz(func(t *testing.T, w, h, kind, q uint8, seed uint64) {
		if w == 0 || h == 0 {
			return
		}
		format := frame.I420
		if seed&1 == 0 {
			format = frame.GREY
		}
		fr := filled(format, int(w), int(h), int(kind)%7, rand.New(rand.NewPCG(seed, 0)))
		// That coefficients are right, another test shows; this one is about putting them
		// in the right place. Where blocks are few or all alike, one that lies between
		// two steps decides.
		ours, theirs, _, _ := compareEncoders(t, fr, int(q%101))
		if int(w)*int(h) >= 2048 && kind%7 < 3 && min(ours, 40) < min(theirs, 40)-2 {
			t.Errorf("%.2f dB, image/jpeg %.2f", ours, theirs)
		}
	})
}

func BenchmarkEncodeTwin(b *testing.B) {
	e, f := newStdEncoder(), picture(640, 480)
	var buf []byte
	for b.Loop() {
		buf, _ = e.Encode(buf, f, 85)
	}
}

package glass

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"
)

// film makes a picture of the code as a camera may see it.
type film struct {
	w, h     int
	corners  [4]Point
	n        uint16
	next     float64 // how much of the exposure shows n+1
	black    float64
	white    float64
	blur     float64 // sigma in pixels
	noise    float64
	quality  int // of JPEG; 0 = none
	surround float64
}

// warp is what takes pixels to cells: the inverse of mapTo, found by Newton's steps.
func inverse(m mapping, p Point, x, y float64) (float64, float64) {
	for range 4 {
		a, b, c := m.at(x, y), m.at(x+1e-4, y), m.at(x, y+1e-4)
		ex, ey := p.X-a.X, p.Y-a.Y
		xx, xy, yx, yy := (b.X-a.X)*1e4, (c.X-a.X)*1e4, (b.Y-a.Y)*1e4, (c.Y-a.Y)*1e4
		det := xx*yy - xy*yx
		x, y = x+(ex*yy-ey*xy)/det, y+(ey*xx-ex*yx)/det
	}
	return x, y
}

func (f film) take(t *testing.T, rng *rand.Rand) *Luma {
	t.Helper()
	m := mapTo(f.corners)
	pix := make([]float64, f.w*f.h)
	shade := func(x, y float64) float64 {
		if x < -1 || y < -1 || x >= Columns+1 || y >= Rows+1 {
			return f.surround
		}
		if x < 0 || y < 0 || x >= Columns || y >= Rows {
			return f.black
		}
		v := f.black
		if White(f.n, int(x), int(y)) {
			v += (f.white - f.black) * (1 - f.next)
		}
		if White(f.n+1, int(x), int(y)) {
			v += (f.white - f.black) * f.next
		}
		return v
	}
	gx, gy := 6.0, 4.0
	for y := range f.h {
		gx, gy = inverse(m, Point{0, float64(y)}, 6, 4)
		gx, gy = inverse(m, Point{0, float64(y)}, gx, gy)
		for x := range f.w {
			sum := 0.0
			for _, s := range [4]Point{{.25, .25}, {.75, .25}, {.25, .75}, {.75, .75}} {
				gx, gy = inverse(m, Point{float64(x) + s.X, float64(y) + s.Y}, gx, gy)
				sum += shade(gx, gy) / 4
			}
			pix[y*f.w+x] = sum
		}
	}
	if f.blur > 0 {
		pix = gauss(pix, f.w, f.h, f.blur)
	}
	img := image.NewGray(image.Rect(0, 0, f.w, f.h))
	for i, v := range pix {
		img.Pix[i] = byte(max(0, min(255, v+rng.NormFloat64()*f.noise)))
	}
	if f.quality > 0 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: f.quality}); err != nil {
			t.Fatal(err)
		}
		d, err := jpeg.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		for y := range f.h {
			for x := range f.w {
				img.SetGray(x, y, color.GrayModel.Convert(d.At(x, y)).(color.Gray))
			}
		}
	}
	return &Luma{img.Pix, f.w, f.h, img.Stride}
}

func gauss(p []float64, w, h int, sigma float64) []float64 {
	n := int(3 * sigma)
	var k []float64
	sum := 0.0
	for i := -n; i <= n; i++ {
		k = append(k, math.Exp(-float64(i*i)/(2*sigma*sigma)))
		sum += k[i+n]
	}
	pass := func(in []float64, dx, dy int) []float64 {
		out := make([]float64, len(in))
		for y := range h {
			for x := range w {
				for i := -n; i <= n; i++ {
					out[y*w+x] += in[min(h-1, max(0, y+i*dy))*w+min(w-1, max(0, x+i*dx))] * k[i+n] / sum
				}
			}
		}
		return out
	}
	return pass(pass(p, 1, 0), 0, 1)
}

func box(x, y, w, h float64) [4]Point {
	return [4]Point{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}
}

func turned(c [4]Point, degrees float64) [4]Point {
	var m Point
	for _, p := range c {
		m.X += p.X / 4
		m.Y += p.Y / 4
	}
	s, k := math.Sincos(degrees * math.Pi / 180)
	for i, p := range c {
		x, y := p.X-m.X, p.Y-m.Y
		c[i] = Point{m.X + k*x - s*y, m.Y + s*x + k*y}
	}
	return c
}

func TestGray(t *testing.T) {
	for n := range 65536 {
		if FromGray(Gray(uint16(n))) != uint16(n) {
			t.Fatal(n)
		}
	}
	if d := Gray(1000) ^ Gray(1001); d&(d-1) != 0 {
		t.Error("two neighbours differ in more than one bit")
	}
}

// What cameras do to the code: it is read as it is, every time.
func TestReadThroughACamera(t *testing.T) {
	usual := film{w: 320, h: 240, corners: box(60, 60, 200, 130), black: 20, white: 230, surround: 60}
	with := func(change func(*film)) film { f := usual; change(&f); return f }
	cases := map[string]film{
		"clean":              usual,
		"JPEG of quality 50": with(func(f *film) { f.quality = 50 }),
		"blurred and noisy":  with(func(f *film) { f.blur, f.noise, f.quality = 2.5, 8, 50 }),
		"dim":                with(func(f *film) { f.black, f.white, f.noise, f.surround = 12, 70, 4, 20 }),
		"hazy":               with(func(f *film) { f.black, f.white, f.surround = 130, 210, 120 }),
		"bright surround":    with(func(f *film) { f.surround = 240 }),
		"half the size":      with(func(f *film) { f.corners, f.quality = box(100, 90, 100, 65), 50 }),
		"twice the size":     with(func(f *film) { f.w, f.h, f.corners, f.quality = 640, 480, box(120, 120, 400, 260), 50 }),
		"perspective": with(func(f *film) {
			f.corners = [4]Point{{50, 40}, {270, 70}, {255, 190}, {70, 215}}
			f.blur, f.quality, f.noise = 1.5, 50, 4
		}),
		"turned by 30°":  with(func(f *film) { f.corners = turned(f.corners, 30) }),
		"turned by 45°":  with(func(f *film) { f.corners = turned(f.corners, 45) }),
		"upside down":    with(func(f *film) { f.corners = turned(f.corners, 180) }),
		"turned by 90°":  with(func(f *film) { f.corners = turned(box(70, 70, 170, 110), 90) }),
		"a large sensor": with(func(f *film) { f.w, f.h, f.corners, f.quality = 1280, 720, box(300, 150, 600, 400), 50 }),
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for range 6 {
				f.n = uint16(rng.Uint32())
				var r Reader
				got, err := r.Read(f.take(t, rng))
				if err != nil || FromGray(got.Gray) != f.n || got.Undecided != 0 || got.Mirrored {
					t.Fatalf("%d was read as %d, %+v, %v", f.n, FromGray(got.Gray), got, err)
				}
				for i, c := range got.Corners {
					if d := math.Hypot(c.X-f.corners[i].X, c.Y-f.corners[i].Y); d > 6 {
						t.Errorf("corner %d is %.1f pixels off", i, d)
					}
				}
				f.n++ // again, where it was
				if got, err = r.Read(f.take(t, rng)); err != nil || FromGray(got.Gray) != f.n {
					t.Fatalf("then %d was read as %d, %v", f.n, FromGray(got.Gray), err)
				}
			}
		})
	}
}

func TestMirrored(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := film{w: 320, h: 240, corners: box(60, 60, 200, 130), black: 20, white: 230, n: 12345}
	f.corners[0], f.corners[1], f.corners[2], f.corners[3] = f.corners[1], f.corners[0], f.corners[3], f.corners[2]
	var r Reader
	if got, err := r.Read(f.take(t, rng)); err != nil || !got.Mirrored || FromGray(got.Gray) != f.n {
		t.Errorf("%+v, %v", got, err)
	}
}

// A picture that was exposed while the screen changed tells both numbers.
func TestExposedAcrossAChange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		f := film{w: 320, h: 240, corners: box(60, 60, 200, 130), black: 20, white: 230, quality: 50, next: .5, n: uint16(rng.Uint32())}
		var r Reader
		got, err := r.Read(f.take(t, rng))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uint16]bool{}
		for _, n := range got.Numbers() {
			seen[n] = true
		}
		if len(seen) != 2 || !seen[f.n] || !seen[f.n+1] {
			t.Errorf("%d and the next were read as %v", f.n, seen)
		}
	}
}

func TestCauses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	usual := film{w: 320, h: 240, corners: box(60, 60, 200, 130), black: 20, white: 230}
	dark, flat, tiny, none := usual, usual, usual, usual
	dark.black, dark.white = 2, 14
	flat.black, flat.white, flat.surround = 120, 130, 125
	tiny.corners = box(100, 100, 44, 29)
	none.corners = box(-1000, -1000, 200, 130)
	for name, c := range map[string]struct {
		f    film
		want error
	}{"dark": {dark, ErrDark}, "flat": {flat, ErrFlat}, "tiny": {tiny, ErrSmall}} {
		var r Reader
		if got, err := r.Read(c.f.take(t, rng)); err != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// Pictures of other things are not codes.
	none.surround = 0
	img := &Luma{make([]byte, 320*240), 320, 240, 320}
	for range 50 {
		for i := range img.Pix {
			img.Pix[i] = byte(rng.Uint32())
		}
		for range 5 { // bright boxes
			x, y, w, h := rng.IntN(200), rng.IntN(150), 30+rng.IntN(90), 30+rng.IntN(60)
			for j := y; j < y+h; j++ {
				for i := x; i < x+w; i++ {
					img.Pix[j*320+i] = 255
				}
			}
		}
		var r Reader
		if got, err := r.Read(img); err == nil {
			t.Errorf("noise is read as %+v", got)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	f := film{w: 640, h: 480, corners: box(120, 120, 400, 260), black: 20, white: 230, surround: 60}
	l := f.take(&testing.T{}, rand.New(rand.NewPCG(1, 2)))
	b.Run("whole picture", func(b *testing.B) {
		for b.Loop() {
			var r Reader
			if _, err := r.Read(l); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("where it was", func(b *testing.B) {
		var r Reader
		for b.Loop() {
			if _, err := r.Read(l); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package mjpeg

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// picture is a smooth I420 test picture.
func picture(w, h int) *frame.Frame {
	f := frame.New(make([]byte, pixfmt.Size(frame.I420, w, h, 0)), nil)
	f.Format, f.Width, f.Height, f.Stride = frame.I420, w, h, w
	m, err := pixfmt.FrameView(f)
	if err != nil {
		panic(err)
	}
	for y := range h {
		for x := range w {
			m.Planes[0][y*m.Strides[0]+x] = byte(128 + 80*math.Sin(float64(x)/9)*math.Cos(float64(y)/7))
		}
	}
	for y := range (h + 1) / 2 {
		for x := range (w + 1) / 2 {
			m.Planes[1][y*m.Strides[1]+x] = byte(90 + x%70)
			m.Planes[2][y*m.Strides[2]+x] = byte(160 - y%70)
		}
	}
	return f
}

func sample(t testing.TB, w, h, q int) []byte {
	t.Helper()
	b, err := NewEncoder().Encode(nil, picture(w, h), q)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withThumbnail puts a whole picture into an APP1 segment.
func withThumbnail(b, thumb []byte) []byte {
	n := len(thumb) + 8
	out := append([]byte{0xff, mSOI, 0xff, 0xe1, byte(n >> 8), byte(n)}, "Exif\x00\x00"...)
	out = append(out, thumb...)
	return append(out, b[2:]...)
}

// withoutDHT removes the Huffman tables, as webcams do.
func withoutDHT(t testing.TB, b []byte) []byte {
	t.Helper()
	out := append([]byte(nil), b[:2]...)
	for i := 2; ; {
		n := int(b[i+2])<<8 | int(b[i+3])
		if b[i+1] != mDHT {
			out = append(out, b[i:i+2+n]...)
		}
		if b[i+1] == mSOS {
			return append(out, b[i+2+n:]...)
		}
		i += 2 + n
	}
}

func TestHeader(t *testing.T) {
	b := sample(t, 99, 77, 85)
	info, err := Header(b)
	if err != nil {
		t.Fatal(err)
	}
	if info.Width != 99 || info.Height != 77 || info.Components != 3 || info.Subsampling() != "4:2:0" || info.Progressive || !info.HasDHT || info.Precision != 8 {
		t.Errorf("%+v", info)
	}
	if b[info.SOS+1] != mSOS || b[info.SOF+1] != mSOF0 || info.Scan <= info.SOS {
		t.Errorf("offsets %+v", info)
	}
	if n := testing.AllocsPerRun(100, func() { Header(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	th, err := Header(withThumbnail(b, sample(t, 16, 16, 50)))
	if err != nil || th.Width != 99 {
		t.Errorf("with thumbnail: %+v, %v", th, err)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrEmpty}, {"short", b[:3], ErrTruncated}, {"no SOI", b[1:], ErrNotJPEG},
		{"cut in header", b[:info.SOS+3], ErrTruncated},
		{"zero width", append(append(bytes.Clone(b[:info.SOF+7]), 0, 0), b[info.SOF+9:]...), ErrMalformed},
		{"no segments", []byte{0xff, mSOI, 0xff, mEOI, 0, 0}, ErrMalformed},
		{"segment of length 1", []byte{0xff, mSOI, 0xff, 0xe0, 0, 1}, ErrMalformed},
	} {
		if _, err := Header(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestRepair(t *testing.T) {
	good := sample(t, 64, 48, 85)
	bare := withoutDHT(t, good)
	room := func(b []byte) []byte { return append(make([]byte, 0, len(b)+1000), b...) }
	join := func(a []byte, b ...byte) []byte { return append(bytes.Clone(a), b...) }
	for _, c := range []struct {
		name string
		in   []byte
		want Repairs
	}{
		{"sound", good, Repairs{}},
		{"no tables", bare, Repairs{DHT: 1}},
		{"no tables, room", room(bare), Repairs{DHT: 1}},
		{"zeros behind", join(good, make([]byte, 300)...), Repairs{Trailing: 300}},
		{"junk behind", join(good, 1, 2, 3, 0xff), Repairs{Trailing: 4}},
		{"no end", good[:len(good)-2], Repairs{EOI: 1}},
		{"half an end", good[:len(good)-1], Repairs{EOI: 1, Trailing: 1}},
		{"all at once", room(join(bare[:len(bare)-2], 0, 0, 0)), Repairs{DHT: 1, EOI: 1, Trailing: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := bytes.Clone(c.in)
			info, r, err := Check(c.in)
			if err != nil || r != c.want || !bytes.Equal(before, c.in) {
				t.Fatalf("Check: %+v, %v; want %+v", r, err, c.want)
			}
			if app := AppendRepaired(nil, c.in, info, r); len(app) != RepairedSize(len(c.in), r) {
				t.Errorf("RepairedSize %d, is %d", RepairedSize(len(c.in), r), len(app))
			} else if _, err := jpeg.Decode(bytes.NewReader(app)); err != nil {
				t.Errorf("AppendRepaired: %v", err)
			}
			inPlace := cap(c.in) >= RepairedSize(len(c.in), r)
			out, r, err := Repair(c.in)
			if err != nil || r != c.want {
				t.Fatalf("Repair: %+v, %v", r, err)
			}
			if inPlace != (&out[0] == &c.in[0]) {
				t.Errorf("in place: %v, want %v", !inPlace, inPlace)
			}
			if _, err := jpeg.Decode(bytes.NewReader(out)); err != nil {
				t.Error(err)
			}
			if _, r, _ := Repair(out); r.Any() {
				t.Errorf("repaired again: %+v", r)
			}
		})
	}
	for _, b := range [][]byte{nil, {0xff}, {0xff, mSOI}, good[:200], make([]byte, 5000)} {
		if _, _, err := Repair(b); err == nil {
			t.Errorf("%d useless bytes accepted", len(b))
		}
	}
}

// The tables must be the ones that image/jpeg's encoder writes, which are K.3.3's too.
func TestStandardTables(t *testing.T) {
	if len(standardDHT) != 420 {
		t.Errorf("%d bytes, want 420", len(standardDHT))
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 16, 16), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b.Bytes(), standardDHT) {
		t.Error("not what image/jpeg writes")
	}
}

func TestSplitter(t *testing.T) {
	a, b, c := sample(t, 64, 48, 85), withThumbnail(sample(t, 160, 120, 90), sample(t, 32, 32, 50)), sample(t, 640, 480, 95)
	noEnd := a[:len(a)-2]
	for _, tc := range []struct {
		name    string
		in      [][]byte
		want    [][]byte
		skipped int64
		broken  int64
	}{
		{"one", [][]byte{a}, [][]byte{a}, 0, 0},
		{"three", [][]byte{a, b, c, a}, [][]byte{a, b, c, a}, 0, 0},
		{"junk between", [][]byte{[]byte("\xff\xffjunk"), a, make([]byte, 999), c, {0xff, 0xd8}}, [][]byte{a, c}, 999 + 6 + 2, 0},
		{"end missing before the next", [][]byte{noEnd, b, noEnd}, [][]byte{noEnd, b, noEnd}, 0, 0},
		{"false beginning", [][]byte{{0xff, mSOI, 0xff, 0xe0, 0, 4, 1, 2, 9, 9}, b}, [][]byte{b}, 10, 1},
		{"nothing", nil, nil, 0, 0},
		{"only junk", [][]byte{bytes.Repeat([]byte{0xff}, 200_000)}, nil, 200_000, 0},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "halves": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
		} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				var pool frame.Pool
				s := NewSplitter(wrap(bytes.NewReader(bytes.Join(tc.in, nil))), &pool, 0)
				for i, want := range tc.want {
					f, err := s.Next()
					if err != nil {
						t.Fatalf("picture %d: %v", i, err)
					}
					if !bytes.Equal(f.Data, want) || f.Format != frame.JPEG {
						t.Fatalf("picture %d: %d bytes, want %d", i, len(f.Data), len(want))
					}
					f.Release()
				}
				if f, err := s.Next(); err != io.EOF {
					t.Errorf("at the end: %v, %v", f, err)
				}
				if s.Skipped() != tc.skipped || s.Broken() != tc.broken {
					t.Errorf("skipped %d, broken %d; want %d, %d", s.Skipped(), s.Broken(), tc.skipped, tc.broken)
				}
				if pool.Out() != 0 {
					t.Errorf("%d frames leaked", pool.Out())
				}
			})
		}
	}
}

type endless struct{ b []byte }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.b[i%len(e.b)]
	}
	return len(p), nil
}

func TestSplitterBoundsMemory(t *testing.T) {
	a := sample(t, 64, 48, 85)
	var pool frame.Pool
	s := NewSplitter(io.MultiReader(bytes.NewReader(a[:len(a)-2]), endless{[]byte{1}}), &pool, 100_000)
	if _, err := s.Next(); !errors.Is(err, ErrTooLong) {
		t.Fatalf("endless picture: %v", err)
	}
	s.Reset(bytes.NewReader(a))
	f, err := s.Next()
	if err != nil || !bytes.Equal(f.Data, a) {
		t.Fatalf("after it: %v", err)
	}
	f.Release()
	if pool.Out() != 0 {
		t.Error("leak")
	}
}

func TestSplitterSteadyStateAllocatesNothing(t *testing.T) {
	a := sample(t, 320, 240, 85)
	var pool frame.Pool
	s := NewSplitter(endless2(a), &pool, 0)
	next := func() {
		f, err := s.Next()
		if err != nil || len(f.Data) != len(a) {
			t.Fatal(err)
		}
		f.Release()
	}
	for range 20 {
		next()
	}
	if n := testing.AllocsPerRun(200, next); n != 0 {
		t.Errorf("%v allocations per picture", n)
	}
}

type repeat struct {
	b []byte
	o int
}

func endless2(b []byte) io.Reader { return &repeat{b: b} }

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], r.b[r.o:])
		n, r.o = n+k, (r.o+k)%len(r.b)
	}
	return n, nil
}

func psnr(a, b []byte) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/max(sum, 1e-9))
}

func TestCodecRoundTrip(t *testing.T) {
	enc, dec := NewEncoder(), NewDecoder(Limits{})
	for _, wh := range [][2]int{{64, 48}, {33, 17}, {1, 1}, {320, 240}} {
		src := picture(wh[0], wh[1])
		sv, _ := pixfmt.FrameView(src)
		for _, from := range []frame.FourCC{frame.I420, frame.RGB24, frame.BGR24, frame.GREY} {
			in := frame.New(make([]byte, pixfmt.Size(from, wh[0], wh[1], 0)), nil)
			in.Format, in.Width, in.Height = from, wh[0], wh[1]
			iv, _ := pixfmt.FrameView(in)
			if err := pixfmt.Convert(&iv, &sv); err != nil {
				t.Fatal(err)
			}
			b, err := enc.Encode(nil, in, 95)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []frame.FourCC{frame.I420, frame.RGB24, frame.GREY} {
				out, w, h, err := dec.Decode(nil, b, to)
				if err != nil || w != wh[0] || h != wh[1] {
					t.Fatalf("%s->%s: %dx%d, %v", from, to, w, h, err)
				}
				ov, _ := pixfmt.View(to, w, h, 0, out)
				// Compare in grey: chroma went through 4:2:0.
				g1, _ := pixfmt.View(frame.GREY, w, h, 0, make([]byte, w*h))
				g2, _ := pixfmt.View(frame.GREY, w, h, 0, make([]byte, w*h))
				if pixfmt.Convert(&g1, &iv) != nil || pixfmt.Convert(&g2, &ov) != nil {
					t.Fatal("convert")
				}
				if p := psnr(g1.Planes[0], g2.Planes[0]); p < 30 {
					t.Errorf("%s->%s %v: PSNR %.1f dB", from, to, wh, p)
				}
			}
		}
	}
}

func TestDecodeOtherChromaFormats(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411} {
		p := image.NewYCbCr(image.Rect(0, 0, 33, 17), ratio)
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range p.Cb {
			p.Cb[i], p.Cr[i] = byte(rng.Uint32()), byte(rng.Uint32())
		}
		var d stdDecoder
		out, _ := pixfmt.View(frame.I420, 33, 17, 0, make([]byte, pixfmt.Size(frame.I420, 33, 17, 0)))
		if err := d.convert(&out, p); err != nil {
			t.Fatal(err)
		}
		rgb, _ := pixfmt.View(frame.RGB24, 33, 17, 0, make([]byte, 33*17*3))
		if err := d.convert(&rgb, p); err != nil {
			t.Fatal(err)
		}
		for y := range 17 {
			for x := range 33 {
				c := p.YCbCrAt(x, y)
				r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
				if o := (y*33 + x) * 3; rgb.Planes[0][o] != r || rgb.Planes[0][o+1] != g || rgb.Planes[0][o+2] != b {
					t.Fatalf("%v RGB at %d,%d", ratio, x, y)
				}
			}
		}
		if c := p.YCbCrAt(32, 16); out.Planes[1][8*17+16] != c.Cb {
			t.Errorf("%v: corner chroma %d, want %d", ratio, out.Planes[1][8*17+16], c.Cb)
		}
	}
}

func TestBombsCostNothing(t *testing.T) {
	b := bytes.Clone(sample(t, 64, 48, 85))
	info, _ := Header(b)
	set := func(w, h int) {
		b[info.SOF+5], b[info.SOF+6], b[info.SOF+7], b[info.SOF+8] = byte(h>>8), byte(h), byte(w>>8), byte(w)
	}
	for _, wh := range [][2]int{{65535, 65535}, {8000, 8000}} {
		set(wh[0], wh[1])
		dec := NewDecoder(Limits{})
		if _, _, _, err := dec.Decode(nil, b, frame.I420); !errors.Is(err, ErrLimit) {
			t.Errorf("%v: %v", wh, err)
		}
		const runs = 200
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			dec.Decode(nil, b, frame.RGB24)
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 4096 {
			t.Errorf("%v: %d bytes allocated to refuse it", wh, n)
		}
	}
	set(64, 48)
	if _, _, _, err := NewDecoder(Limits{MaxPixels: 64*48 - 1}).Decode(nil, b, frame.I420); !errors.Is(err, ErrLimit) {
		t.Errorf("own limit: %v", err)
	}
}

func BenchmarkHeader(b *testing.B) {
	p := sample(b, 640, 480, 85)
	for b.Loop() {
		if _, err := Header(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := sample(b, 640, 480, 85)
	for b.Loop() {
		if _, r, err := Check(p); err != nil || r.Any() {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplitter(b *testing.B) {
	p := sample(b, 640, 480, 95)
	var pool frame.Pool
	s := NewSplitter(endless2(p), &pool, 0)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		f, err := s.Next()
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}

package mjpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// scene is a picture that compresses like a photograph: shapes with hard edges, fine
// texture, smooth shades, noise. At quality 85, 640x480 pixels make about 40 kB.
func scene(format frame.FourCC, w, h int) *frame.Frame {
	rng := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	f := frame.New(make([]byte, pixfmt.Size(frame.I420, w, h, 0)), nil)
	f.Format, f.Width, f.Height, f.Stride = frame.I420, w, h, w
	m, err := pixfmt.FrameView(f)
	if err != nil {
		panic(err)
	}
	for i, p := range m.Planes {
		pw, ph, unit := w, h, 1
		if i > 0 {
			pw, ph, unit = (w+1)/2, (h+1)/2, 2
		}
		for y := range ph {
			for x := range pw {
				gx, gy := x*unit, y*unit
				v := 60 + 20*i + (gx*40/max(w, 1)+gy*50/max(h, 1))/(1+i)
				if (gx/37+gy/29)%5 == 0 {
					v += 70 - 40*i
				}
				if (gx-w/3)*(gx-w/3)+(gy-h/2)*(gy-h/2) < w*h/20 {
					v += 30 + (gx/3*7^gy/2*3)&15/(1+i)
				}
				if gy > h*7/8 {
					v += (gx / 2 * gy / 64) & 31 / (1 + i)
				}
				p[y*m.Strides[i]+x] = byte(min(max(v+rng.IntN(4)/(1+i)-2, 0), 255))
			}
		}
	}
	if format == frame.I420 {
		return f
	}
	out := frame.New(make([]byte, pixfmt.Size(format, w, h, 0)), nil)
	out.Format, out.Width, out.Height, out.Stride = format, w, h, pixfmt.Stride(format, w)
	to, err := pixfmt.FrameView(out)
	if err == nil {
		err = pixfmt.Convert(&to, &m)
	}
	if err != nil {
		panic(err)
	}
	return out
}

// testPictures are of all chroma formats, sizes that fill their blocks and such that
// do not, and of coefficients from hardly any to the largest.
func testPictures(t testing.TB) map[string][]byte {
	pics := map[string][]byte{}
	for _, name := range []string{"411", "422", "440", "444", "restart", "grey", "ffmpeg422"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".jpg"))
		if err != nil {
			t.Fatal(err)
		}
		pics[name] = b
	}
	for _, wh := range [][2]int{{1, 1}, {2, 2}, {7, 9}, {16, 16}, {17, 33}, {64, 48}, {160, 112}, {331, 247}} {
		for _, f := range []frame.FourCC{frame.I420, frame.GREY} {
			for _, q := range []int{1, 40, 85, 100} {
				b, err := newGoEncoder().Encode(nil, scene(f, wh[0], wh[1]), q)
				if err != nil {
					t.Fatal(err)
				}
				pics[fmt.Sprintf("%s-%dx%d-q%d", f.Word(), wh[0], wh[1], q)] = b
			}
		}
	}
	for kind := range 7 { // the largest coefficients that there can be
		b, err := newStdEncoder().Encode(nil, filled(frame.I420, 48, 32, kind, rand.New(rand.NewPCG(1, 1))), 100)
		if err != nil {
			t.Fatal(err)
		}
		pics[fmt.Sprintf("kind %d", kind)] = b
	}
	return pics
}

func TestDecoderAgreesWithImageJPEG(t *testing.T) {
	d, std := newGoDecoder(Limits{}), newStdDecoder(Limits{})
	var got []byte
	for name, b := range testPictures(t) {
		for _, format := range []frame.FourCC{frame.I420, frame.GREY, frame.RGB24, frame.BGR24} {
			var w, h int
			var err error
			if got, w, h, err = d.Decode(got, b, format); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if d.std != nil {
				t.Fatalf("%s was left to image/jpeg", name)
			}
			want, ww, wh, err := std.Decode(nil, b, format)
			if err != nil || w != ww || h != wh || len(got) != len(want) {
				t.Fatalf("%s as %s: %dx%d %v", name, format, w, h, err)
			}
			// Both transforms are accurate to about half a step; colours multiply that.
			slack := 2
			if format == frame.RGB24 || format == frame.BGR24 {
				slack = 5
			}
			sum := 0
			for i := range want {
				diff := int(got[i]) - int(want[i])
				sum += diff * diff
				if diff > slack || diff < -slack {
					t.Fatalf("%s as %s: byte %d is %d, image/jpeg has %d", name, format, i, got[i], want[i])
				}
			}
			if mse := float64(sum) / float64(len(want)); mse > 0.5 {
				t.Errorf("%s as %s: mean squared difference %.3f", name, format, mse)
			}
		}
	}
}

// The vector kernel gives what the plain one gives, as far as it is asked.
func compareIDCT(t *testing.T, rng *rand.Rand) {
	t.Helper()
	if !haveIDCT {
		return
	}
	var b, c [64]int16
	left := int(saneSum)
	for left > 0 && rng.IntN(20) > 0 {
		i, v := rng.IntN(64), rng.IntN(1+rng.IntN(left+1))
		if b[i] != 0 {
			continue
		}
		b[i], left = int16(v), left-v
		if rng.IntN(2) == 0 {
			b[i] = -b[i]
		}
	}
	c = b
	const stride = 13
	want, got := make([]byte, 8*stride), make([]byte, 8*stride)
	idct8(&b, want, stride)
	idctFast(&c, &got[0], stride)
	if !bytes.Equal(got, want) {
		t.Fatalf("%v: %v, the twin has %v", b, got, want)
	}
	d := b
	want, got = make([]byte, 8*stride), make([]byte, 8*stride)
	idct4(&b, want, stride)
	idct4Fast(&d, &got[0], stride)
	if !bytes.Equal(got, want) {
		t.Fatalf("%v at 1/2: %v, the twin has %v", b, got, want)
	}
	if c != ([64]int16{}) || d != c {
		t.Fatal("the block was not cleared")
	}
}

func TestIDCTTwins(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 20000 {
		compareIDCT(t, rng)
	}
}

func FuzzIDCTTwins(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compareIDCT(t, rand.New(rand.NewPCG(seed, 0))) })
}

// At smaller scales there is no other decoder at hand; the picture must look like
// the large one scaled down by its area.
func TestDecodeScaled(t *testing.T) {
	d := newGoDecoder(Limits{})
	for name, b := range testPictures(t) {
		for _, format := range []frame.FourCC{frame.I420, frame.GREY, frame.RGB24} {
			full, w, h, err := d.Decode(nil, b, format)
			if err != nil {
				t.Fatal(err)
			}
			for _, scale := range []int{2, 4, 8} {
				got, sw, sh, err := d.DecodeScaled(nil, b, format, scale)
				if err != nil || sw != (w+scale-1)/scale || sh != (h+scale-1)/scale || len(got) != pixfmt.Size(format, sw, sh, 0) {
					t.Fatalf("%s at 1/%d: %dx%d, %d bytes, %v", name, scale, sw, sh, len(got), err)
				}
				if w%16 != 0 || h%16 != 0 || w < 64 {
					continue
				}
				from, _ := pixfmt.View(format, w, h, 0, full)
				to, _ := pixfmt.View(format, sw, sh, 0, make([]byte, len(got)))
				var s pixfmt.Scaler
				if err := s.Scale(&to, &from); err != nil {
					t.Fatal(err)
				}
				want, _ := pixfmt.Tighten(nil, &to)
				if p := psnr(got, want); p < 24 {
					t.Errorf("%s as %s at 1/%d: %.1f dB from the picture scaled down", name, format, scale, p)
				}
			}
		}
	}
}

func TestDecoderAllocatesNothing(t *testing.T) {
	d := NewDecoder(Limits{})
	a, b := sample(t, 331, 247, 80), sample(t, 640, 480, 95)
	var buf []byte
	for _, format := range []frame.FourCC{frame.I420, frame.GREY, frame.RGB24} {
		for _, scale := range []int{1, 2, 8} {
			run := func() {
				for _, p := range [][]byte{a, b} {
					var err error
					if buf, _, _, err = d.DecodeScaled(buf, p, format, scale); err != nil {
						t.Fatal(err)
					}
				}
			}
			run()
			if n := testing.AllocsPerRun(5, run); n != 0 {
				t.Errorf("%s at 1/%d: %v allocations", format, scale, n)
			}
		}
	}
}

// What cameras and links do to pictures.
func TestDecodeDamaged(t *testing.T) {
	const w, h = 331, 247
	good := sample(t, w, h, 85)
	d := newGoDecoder(Limits{})
	want, _, _, err := d.Decode(nil, good, frame.I420)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := Header(good)
	same := func(name string, b []byte) {
		t.Helper()
		got, _, _, err := d.Decode(nil, b, frame.I420)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, or another picture", name, err)
		}
	}
	same("no tables", withoutDHT(t, good))
	same("no EOI", good[:len(good)-2])
	same("padding", append(bytes.Clone(good), 0, 0, 0, 0))
	garbage := append(append(bytes.Clone(good[:info.SOF]), 0, 0, 17, 0xff, 0, 0xff), good[info.SOF:]...)
	same("garbage between segments", garbage)
	same("thumbnail", withThumbnail(good, sample(t, 16, 16, 50)))

	for _, part := range []int{1, 2, 3, 7} {
		b := good[:info.Scan+(len(good)-info.Scan)*part/8]
		got, gw, gh, err := d.Decode(nil, b, frame.I420)
		var dam *DamagedError
		if !errors.As(err, &dam) || gw != w || gh != h || dam.Total != 21*16 || dam.Decoded < 1 {
			t.Errorf("%d/8 of the data: %v", part, err)
			continue
		}
		rows := dam.Decoded / 21 * 16
		if !bytes.Equal(got[:rows*w], want[:rows*w]) {
			t.Errorf("%d/8 of the data: the first %d rows differ", part, rows)
		}
		if tail := got[(h-1)*w : h*w]; part < 7 && (tail[0] != 128 || tail[w-1] != 128) {
			t.Errorf("%d/8 of the data: the rest is not grey", part)
		}
	}
	if _, _, _, err := d.Decode(nil, good[:info.Scan], frame.I420); !errors.Is(err, ErrMalformed) {
		t.Errorf("no data at all: %v", err)
	}
}

func TestDecodeRestartMarkers(t *testing.T) {
	b, err := os.ReadFile("testdata/restart.jpg")
	if err != nil {
		t.Fatal(err)
	}
	d := newGoDecoder(Limits{})
	want, w, _, err := d.Decode(nil, b, frame.GREY)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := Header(b)
	if info.RestartInterval == 0 {
		t.Fatal("no restart markers")
	}
	var marks []int
	for i := info.Scan; i+1 < len(b); i++ {
		if b[i] == 0xff && b[i+1] >= mRST0 && b[i+1] <= mRST7 {
			marks = append(marks, i)
		}
	}
	if len(marks) < 2 {
		t.Fatalf("only %d restart markers", len(marks))
	}
	marks = append(marks, len(b)-2)
	differ := func(b []byte) (rows int, err error) {
		got, _, _, err := d.Decode(nil, b, frame.GREY)
		var dam *DamagedError
		if err != nil && !errors.As(err, &dam) {
			t.Fatal(err)
		}
		for y := 0; y < len(want)/w; y++ {
			if !bytes.Equal(got[y*w:y*w+w], want[y*w:y*w+w]) {
				rows++
			}
		}
		return rows, err
	}
	all := len(want) / w
	// One interval is destroyed, one is missing with its marker: the others stay.
	broken := bytes.Clone(b)
	for i := marks[0] + 2; i < marks[1]; i++ {
		broken[i] = 0x55
	}
	if rows, err := differ(broken); rows == 0 || rows > all/2 {
		t.Errorf("one interval destroyed: %d of %d rows differ, %v", rows, all, err)
	}
	if rows, err := differ(append(bytes.Clone(b[:marks[0]]), b[marks[1]:]...)); rows == 0 || rows > all/2 || err == nil {
		t.Errorf("one interval lost: %d of %d rows differ, %v", rows, all, err)
	}
}

// RGB of every chroma format is the samples' colour by image/color.
func TestDecodeColours(t *testing.T) {
	d := newGoDecoder(Limits{})
	for name, b := range testPictures(t) {
		rgb, w, h, err := d.Decode(nil, b, frame.RGB24)
		if err != nil {
			t.Fatal(err)
		}
		luma, _, _, _ := d.Decode(nil, b, frame.GREY)
		i420, _, _, _ := d.Decode(nil, b, frame.I420)
		if info, _ := Header(b); info.H != 2 || info.V != 2 {
			continue
		}
		m, _ := pixfmt.View(frame.I420, w, h, 0, i420)
		for y := range h {
			for x := range w {
				r, g, bl := color.YCbCrToRGB(luma[y*w+x], m.Planes[1][y/2*m.Strides[1]+x/2], m.Planes[2][y/2*m.Strides[2]+x/2])
				if o := 3 * (y*w + x); rgb[o] != r || rgb[o+1] != g || rgb[o+2] != bl {
					t.Fatalf("%s at %d,%d: %v, want %d %d %d", name, x, y, rgb[o:o+3], r, g, bl)
				}
			}
		}
	}
}

// Whatever comes in: no panic, no picture beyond the limits, and where image/jpeg
// makes a picture of it too, the same one.
func FuzzDecodeAgainstImageJPEG(f *testing.F) {
	seeds(f)
	for _, name := range []string{"411", "422", "440", "444", "restart", "grey", "ffmpeg422", "progressive", "rgb"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".jpg"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	d, std := newGoDecoder(Limits{MaxPixels: 1 << 16}), newStdDecoder(Limits{MaxPixels: 1 << 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		want, ww, wh, stdErr := std.Decode(nil, b, frame.GREY)
		for _, scale := range []int{1, 2, 4, 8} {
			for _, format := range []frame.FourCC{frame.GREY, frame.I420, frame.RGB24} {
				d.sane = false // of the last picture
				got, w, h, err := d.DecodeScaled(nil, b, format, scale)
				var dam *DamagedError
				if err != nil && !errors.As(err, &dam) {
					if stdErr == nil && !errors.Is(err, ErrMalformed) {
						t.Fatalf("image/jpeg reads it: %v", err)
					}
					continue
				}
				if w <= 0 || h <= 0 || len(got) != pixfmt.Size(format, w, h, 0) {
					t.Fatalf("%dx%d in %d bytes", w, h, len(got))
				}
				if scale > 1 || format != frame.GREY || err != nil || stdErr != nil {
					continue
				}
				if w != ww || h != wh {
					t.Fatalf("%dx%d, want %dx%d", w, h, ww, wh)
				}
				// Decoders differ in what they make of codes that no encoder writes.
				if info, _ := Header(b); info.Progressive || !d.sane {
					continue
				}
				for i := range got {
					if diff := int(got[i]) - int(want[i]); diff > 2 || diff < -2 {
						t.Fatalf("sample %d: %d, want %d", i, got[i], want[i])
					}
				}
			}
		}
	})
}

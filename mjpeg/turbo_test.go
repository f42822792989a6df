//go:build cgo && (linux || darwin)

package mjpeg

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg/internal/turbojpeg"
	"framepipe/pixfmt"
)

// turbo skips the test where there is no libjpeg-turbo. Builds that cannot use it
// at all have no such tests.
func turbo(t testing.TB) (*turboEncoder, *turboDecoder) {
	t.Helper()
	if _, err := turboWorks(); err != nil {
		t.Skip(err)
	}
	e, err := newTurboEncoder()
	if err != nil {
		t.Fatal(err)
	}
	d, err := newTurboDecoder(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

// The inverse DCTs, also the scaled ones, are libjpeg's to the bit.
func TestDecoderIsLibjpegs(t *testing.T) {
	_, theirs := turbo(t)
	ours := newGoDecoder(Limits{})
	for name, b := range testPictures(t) {
		for _, scale := range []int{1, 2, 4, 8} {
			got, w, h, err := ours.DecodeScaled(nil, b, frame.GREY, scale)
			if err != nil {
				t.Fatal(err)
			}
			if info, _ := Header(b); scale > 1 && min(info.Width, info.Height) < 16 {
				continue // the library cannot be told which scale is meant
			}
			want := make([]byte, w*h)
			if err := theirs.dec.Pixels(want, b, w, w, h, turbojpeg.Grey, false); err != nil {
				t.Fatal(name, err)
			}
			if scale == 1 || name[:2] != "ki" { // at its limits the library's own transforms differ among themselves
				if !bytes.Equal(got, want) {
					t.Errorf("%s at 1/%d: another picture: %.1f dB", name, scale, psnr(got, want))
				}
			}
		}
		if info, _ := Header(b); info.Components != 3 || info.H != 2 || info.V != 2 {
			continue
		}
		got, w, h, err := ours.Decode(nil, b, frame.I420)
		if err != nil {
			t.Fatal(err)
		}
		want, _, _, err := theirs.Decode(nil, b, frame.I420)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %dx%d as yuv: another picture, %v", name, w, h, err)
		}
	}
}

// At the same size our pictures are as good as those of its accurate transform.
func TestEncoderIsAsGoodAsLibjpegs(t *testing.T) {
	theirs, dec := turbo(t)
	ours := newGoEncoder()
	for _, wh := range [][2]int{{320, 240}, {330, 250}} {
		for _, q := range []int{30, 75, 85, 95} {
			f := scene(frame.I420, wh[0], wh[1])
			a, err := ours.Encode(nil, f, q)
			if err != nil {
				t.Fatal(err)
			}
			b, err := theirs.Encode(nil, f, q)
			if err != nil {
				t.Fatal(err)
			}
			pa, _, _, err := dec.plain.Decode(nil, a, frame.I420)
			if err != nil {
				t.Fatal(err)
			}
			pb, _, _, err := dec.plain.Decode(nil, b, frame.I420)
			if err != nil {
				t.Fatal(err)
			}
			da, db := psnr(pa, f.Data), psnr(pb, f.Data)
			t.Logf("%v q%d: %d bytes %.3f dB, libjpeg-turbo %d bytes %.3f dB", wh, q, len(a), da, len(b), db)
			if da < db-0.02 || float64(len(a)) > 1.005*float64(len(b)) {
				t.Errorf("%v q%d: %d bytes %.3f dB, libjpeg-turbo %d bytes %.3f dB", wh, q, len(a), da, len(b), db)
			}
		}
	}
}

// Whichever codec is chosen, the same formats go in and come out.
func TestTurboDoesAll(t *testing.T) {
	enc, dec := turbo(t)
	for _, format := range []frame.FourCC{frame.I420, frame.NV12, frame.YUYV, frame.UYVY, frame.RGB24, frame.BGR24, frame.GREY} {
		f := scene(format, 99, 77)
		b, err := enc.Encode(nil, f, 90)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := newGoEncoder().Encode(nil, f, 90)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []frame.FourCC{frame.I420, frame.RGB24, frame.BGR24, frame.GREY} {
			for _, scale := range []int{1, 2, 4, 8} {
				got, w, h, err := dec.DecodeScaled(nil, b, to, scale)
				if err != nil || len(got) != pixfmt.Size(to, w, h, 0) {
					t.Fatalf("%s to %s at 1/%d: %v", format, to, scale, err)
				}
				want, ww, wh, err := dec.plain.DecodeScaled(nil, plain, to, scale)
				if err != nil || ww != w || wh != h {
					t.Fatal(err)
				}
				if p := psnr(got, want); p < 30 {
					t.Errorf("%s to %s at 1/%d: %.1f dB from our own", format, to, scale, p)
				}
			}
		}
	}
	good := sample(t, 160, 120, 85)
	want, _, _, _ := dec.Decode(nil, good, frame.RGB24)
	for name, b := range map[string][]byte{"no tables": withoutDHT(t, good), "no EOI": good[:len(good)-2], "padding": append(bytes.Clone(good), 0, 0)} {
		if got, _, _, err := dec.Decode(nil, b, frame.RGB24); err != nil || psnr(got, want) < 45 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, _, err := dec.Decode(nil, good[:len(good)/2], frame.RGB24); err == nil {
		t.Error("half a picture is no error")
	}
	var jpg, rgb []byte
	f := scene(frame.YUYV, 320, 240)
	run := func() {
		jpg, _ = enc.Encode(jpg, f, 85)
		rgb, _, _, _ = dec.Decode(rgb, jpg, frame.RGB24)
	}
	run()
	if n := testing.AllocsPerRun(5, run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestChoose(t *testing.T) {
	was := Chosen()
	defer func() { chosen.choice = was }()
	c, err := Choose("go")
	if err != nil || NewEncoder().Name() != c.Encoder || NewDecoder(Limits{}).Name() != c.Decoder {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Choose("mozjpeg"); err == nil || Chosen() != c {
		t.Errorf("an unknown codec: %v", err)
	}
	_, why := turboWorks()
	c, err = Choose("turbo")
	if (err == nil) != (why == nil) || err == nil && (NewEncoder().Name() != "libjpeg-turbo" || NewDecoder(Limits{}).Name() != "libjpeg-turbo") {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = Choose(""); err != nil || c.Why == "" {
		t.Errorf("%+v, %v", c, err)
	}
	if e, d, err := Measure(160, 120, 85, 10*time.Millisecond); err != nil || e <= 0 || d <= 0 {
		t.Errorf("%v %v %v", e, d, err)
	}
}

func BenchmarkTurbo(b *testing.B) {
	e, d := turbo(b)
	for _, f := range []frame.FourCC{frame.I420, frame.YUYV, frame.RGB24} {
		fr := scene(f, 640, 480)
		b.Run("encode/"+f.Word()+"/640x480", func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				var err error
				if buf, err = e.Encode(buf, fr, 85); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	p, err := newGoEncoder().Encode(nil, scene(frame.I420, 640, 480), 85)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range []frame.FourCC{frame.I420, frame.RGB24, frame.GREY} {
		for _, scale := range []int{1, 2} {
			b.Run(fmt.Sprintf("decode/%s/1of%d", f.Word(), scale), func(b *testing.B) {
				var buf []byte
				for b.Loop() {
					if buf, _, _, err = d.DecodeScaled(buf, p, f, scale); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Where libjpeg-turbo has nothing to say against a picture, and it is one that an
// encoder can have made, ours is the same to within a rounding.
func FuzzDecodeAgainstTurbo(f *testing.F) {
	seeds(f)
	for _, name := range []string{"411", "422", "440", "444", "restart", "grey", "ffmpeg422", "rgb"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".jpg"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	_, theirs := turbo(f)
	ours := newGoDecoder(Limits{MaxPixels: 1 << 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := Header(b)
		if err != nil || info.Progressive || info.Width*info.Height > 1<<16 {
			return
		}
		ours.sane = false // of the last picture; what image/jpeg has to decode stays so
		got, w, h, err := ours.Decode(nil, b, frame.GREY)
		if err != nil || !ours.sane {
			return // forgiven or refused by ours: another fuzzer's business
		}
		want := make([]byte, w*h)
		if theirs.dec.Pixels(want, b, w, w, h, turbojpeg.Grey, false) != nil {
			return // theirs says of it that it is damaged
		}
		for i := range got {
			if d := int(got[i]) - int(want[i]); d > 2 || d < -2 {
				t.Fatalf("%dx%d, sample %d: %d, libjpeg-turbo has %d", w, h, i, got[i], want[i])
			}
		}
	})
}

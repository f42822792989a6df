package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/capture"
	"framepipe/capture/internal/alarm"
	"framepipe/frame"
	"framepipe/mjpeg"
)

// The files in testdata were made by ffmpeg: six pictures at 10 frames a second,
// copied from tiny.mjpeg without encoding again; those called sound have an audio
// stream before the video, live.mkv was written to a pipe.
func tiny(t testing.TB) [][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/tiny.mjpeg")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for {
		s, e, ok := mjpeg.Find(b)
		if !ok {
			break
		}
		out = append(out, b[s:e])
		b = b[e:]
	}
	if len(out) != 6 {
		t.Fatalf("%d pictures in tiny.mjpeg", len(out))
	}
	return out
}

func check(t testing.TB, f *frame.Frame, returned int) {
	t.Helper()
	if f.Counts.Offered != f.Seq || int(f.Seq-1-f.Counts.LostTotal()) != returned || f.Captured == 0 || f.Dequeued < f.Captured || f.StampKind != frame.StampTick {
		t.Errorf("after %d frames: %+v", returned, f.Meta)
	}
}

func TestFilesUnpaced(t *testing.T) {
	want := tiny(t)
	for _, name := range []string{"tiny.mjpeg", "tiny.avi", "tiny.mkv", "live.mkv", "sound.avi", "sound.mkv"} {
		for _, limit := range []int64{preload, 0} {
			for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
				t.Run(fmt.Sprintf("%s/%d/%s", name, limit, mode), func(t *testing.T) {
					c, err := openWithin("replay:testdata/"+name+"?rate=max&loop=1", capture.Config{Mode: mode}, limit)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					info := c.Info()
					if info.Width != 64 || info.Height != 48 || info.Format != "jpeg" {
						t.Errorf("%+v", info)
					}
					if fps := info.FPS; name != "tiny.mjpeg" && (fps < 9.9 || fps > 10.1) {
						t.Errorf("%g fps", fps)
					}
					for i := range 3 * len(want) {
						f, err := c.Next(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						check(t, f, i)
						if !bytes.Equal(f.Data, want[i%len(want)]) || f.Width != 64 || f.Height != 48 || f.Format != frame.JPEG {
							t.Fatalf("frame %d: %d bytes, want %d", i, len(f.Data), len(want[i%len(want)]))
						}
						f.Release()
					}
				})
			}
		}
	}
}

func TestPaced(t *testing.T) {
	for _, c := range []struct {
		spec string
		cfg  capture.Config
		tick time.Duration
	}{
		{"tiny.avi", capture.Config{}, 100 * time.Millisecond},
		{"tiny.mkv", capture.Config{}, 100 * time.Millisecond},
		{"sound.mkv?rate=2x", capture.Config{}, 50 * time.Millisecond},
		{"tiny.mjpeg", capture.Config{FPS: 20}, 50 * time.Millisecond},
		{"tiny.mjpeg?rate=0.5", capture.Config{FPS: 20, Mode: capture.Continuous}, 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			cam, err := openWithin("replay:testdata/"+c.spec, c.cfg, preload)
			if err != nil {
				t.Fatal(err)
			}
			defer cam.Close()
			time.Sleep(time.Second) // the recording begins with the first Next
			start, first := time.Now(), frame.SenderTime(0)
			for i := range 6 {
				f, err := cam.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				check(t, f, i)
				if i == 0 {
					first = f.Captured
				}
				want := time.Duration(i) * c.tick
				if d := time.Since(start); d != want {
					t.Errorf("%s: frame %d after %v, want %v", c.spec, i, d, want)
				}
				if d := f.Captured.Sub(first); d != want {
					t.Errorf("%s: frame %d stamped %v after the first, want %v", c.spec, i, d, want)
				}
				f.Release()
			}
			for range 2 {
				if _, err := cam.Next(t.Context()); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			}
		})
	}
}

func TestSlowConsumer(t *testing.T) {
	want := tiny(t)
	synctest.Test(t, func(t *testing.T) {
		c, err := openWithin("replay:testdata/tiny.avi?loop=1", capture.Config{}, preload)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// At 250 ms a frame: 0, 2 (due at 200), then at 500 number 5, then the next round.
		for i, n := range []int{0, 2, 5} {
			f, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			check(t, f, i)
			if !bytes.Equal(f.Data, want[n]) || int(f.Seq) != n+1 || int(f.Counts.Lost[frame.LostEncoderBusy]) != n-i {
				t.Errorf("call %d: %+v, want frame %d", i, f.Meta, n)
			}
			f.Release()
			time.Sleep(250 * time.Millisecond)
		}
		f, err := c.Next(t.Context())
		if err != nil || int(f.Seq) != 8 {
			t.Errorf("second round at 750 ms: %+v, %v; want its second frame", f, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, err := openWithin("replay:testdata/tiny.avi", capture.Config{Mode: capture.Continuous}, preload)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 6 { // nothing is passed over
			f, err := c.Next(t.Context())
			if err != nil || !bytes.Equal(f.Data, want[i]) {
				t.Fatalf("frame %d: %v", i, err)
			}
			check(t, f, i)
			f.Release()
			time.Sleep(250 * time.Millisecond)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := openWithin("replay:testdata/tiny.avi", capture.Config{}, preload)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		for i := range 4 {
			f, err := c.Next(ctx)
			if i < 2 && err != nil || i >= 2 && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("call %d: %v", i, err)
			}
			if f != nil {
				f.Release()
			}
		}
		if f, err := c.Next(t.Context()); err != nil || f.Seq != 3 {
			t.Errorf("afterwards: %v, %v", f, err)
		}
	})
}

func TestFolder(t *testing.T) {
	want := tiny(t)
	dir := t.TempDir()
	names := []string{"IMG_9.jpg", "IMG_10.JPG", "img_2.jpeg", "a1b.jpg"}
	for i, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), want[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	img := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	img.Set(2, 1, color.NRGBA{10, 20, 30, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	for n, data := range map[string][]byte{"z.png": b.Bytes(), "broken.png": b.Bytes()[:30], "empty.jpg": nil, "notes.txt": []byte("x")} {
		if err := os.WriteFile(filepath.Join(dir, n), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.jpg"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{preload, 0} {
		c, err := openWithin("replay:"+dir+"?rate=max", capture.Config{}, limit)
		if err != nil {
			t.Fatal(err)
		}
		// IMG_9, IMG_10, a1b, (broken.png), empty.jpg, img_2, z.png
		for i, k := range []int{0, 1, 3, -2, 2, -1} {
			f, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			check(t, f, i)
			switch {
			case k >= 0:
				if !bytes.Equal(f.Data, want[k]) {
					t.Errorf("frame %d is not %s", i, names[k])
				}
			case k == -2:
				if len(f.Data) != 0 {
					t.Errorf("frame %d: %d bytes, want the empty file", i, len(f.Data))
				}
			default:
				if f.Format != frame.RGB24 || f.Width != 3 || f.Height != 2 || len(f.Data) != 18 || !bytes.Equal(f.Data[15:], []byte{10, 20, 30}) {
					t.Errorf("PNG: %+v %v", f.Meta, f.Data)
				}
			}
			f.Release()
		}
		if _, err := c.Next(t.Context()); err != io.EOF {
			t.Error(err)
		}
		c.Close()
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	file := func(name, data string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return "replay:" + p
	}
	for _, c := range []struct {
		spec string
		cfg  capture.Config
	}{
		{"replay:", capture.Config{}}, {"replay:/does/not/exist", capture.Config{}}, {file("a", ""), capture.Config{}}, {file("b", "no picture"), capture.Config{}},
		{"replay:" + dir + "/none", capture.Config{}}, {file("c", "RIFF\xff\xff\xff\xffAVI "), capture.Config{}}, {file("d", "\x1a\x45\xdf\xa3"), capture.Config{}},
		{"replay:testdata/tiny.avi?rate=0", capture.Config{}}, {"replay:testdata/tiny.avi?rate=NaN", capture.Config{}}, {"replay:testdata/tiny.avi?speed=1", capture.Config{}},
		{"replay:testdata/tiny.avi", capture.Config{Port: capture.Still}}, {"replay:testdata/tiny.avi", capture.Config{FPS: math.NaN()}},
		{"replay:testdata/tiny.avi", capture.Config{Controls: map[string]int64{"x": 1}}}, {"replay:" + t.TempDir(), capture.Config{}},
	} {
		cam, err := Open(t.Context(), c.spec, c.cfg)
		if err == nil {
			cam.Close()
		}
		if !capture.IsConfig(err) {
			t.Errorf("%s: %v", c.spec, err)
		}
	}
	// A file whose name looks like options is itself.
	odd := filepath.Join(dir, "x.mjpeg?rate=max")
	if err := os.WriteFile(odd, tiny(t)[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Open(t.Context(), "replay:"+odd, capture.Config{}); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

func TestNatural(t *testing.T) {
	for _, c := range [][2]string{{"a9", "a10"}, {"a", "b"}, {"a1", "a1b"}, {"1", "01"}, {"x02y", "x2z"}, {"9", "a"}, {"img1-9", "img1-10"}} {
		a, b := natural(c[0], c[1]), natural(c[1], c[0])
		if c[0] == "1" { // equal by value: by their text, but one way only
			if a == b {
				t.Errorf("%v not ordered", c)
			}
		} else if !a || b {
			t.Errorf("%v: %v %v", c, a, b)
		}
	}
}

func TestUnpacedAllocatesNothing(t *testing.T) {
	for _, name := range []string{"tiny.mjpeg", "tiny.avi", "tiny.mkv"} {
		c, err := openWithin("replay:testdata/"+name+"?rate=max&loop=1", capture.Config{}, preload)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx := t.Context()
		if n := testing.AllocsPerRun(500, func() {
			f, err := c.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			f.Release()
		}); n != 0 {
			t.Errorf("%s: %v allocations per frame", name, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	c, err := openWithin("replay:testdata/tiny.avi?rate=max&loop=1", capture.Config{}, preload)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		f, err := c.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}

// fuzzFile replays what f gives as a file, from memory and not, and wants the same.
func fuzzFile(f *testing.F, names ...string) {
	for _, n := range names {
		b, err := os.ReadFile("testdata/" + n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		type seen struct {
			seq uint64
			n   int
			w   int
		}
		var runs [2][]seen
		for i, src := range []*source{{mem: b, size: int64(len(b))}, {file: noClose{bytes.NewReader(b)}, size: int64(len(b))}} {
			c := &camera{opt: options{}, timer: alarm.New()}
			var err error
			if c.reel, err = c.dispatch(src, time.Second/30); err != nil || c.lookAtFirst() != nil {
				continue
			}
			for range len(b) + 1 {
				fr, err := c.Next(t.Context())
				if err != nil {
					break
				}
				runs[i] = append(runs[i], seen{fr.Seq, len(fr.Data), fr.Width})
				fr.Release()
			}
		}
		if bytes.HasPrefix(b, []byte("RIFF")) || bytes.HasPrefix(b, []byte{0x1a, 0x45, 0xdf, 0xa3}) {
			if fmt.Sprint(runs[0]) != fmt.Sprint(runs[1]) {
				t.Errorf("from memory %v, from file %v", runs[0], runs[1])
			}
		}
	})
}

type noClose struct{ *bytes.Reader }

func (noClose) Close() error { return nil }

func FuzzAVI(f *testing.F)      { fuzzFile(f, "tiny.avi", "sound.avi") }
func FuzzMKV(f *testing.F)      { fuzzFile(f, "tiny.mkv", "live.mkv", "sound.mkv") }
func FuzzDispatch(f *testing.F) { fuzzFile(f, "tiny.mjpeg", "tiny.avi", "tiny.mkv") }

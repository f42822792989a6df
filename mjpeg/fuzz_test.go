package mjpeg

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"framepipe/frame"
)

func seeds(f *testing.F) {
	a := sample(f, 16, 16, 60)
	f.Add(a)
	f.Add(withoutDHT(f, a))
	f.Add(a[:len(a)-2])
	f.Add(append(bytes.Clone(a), 0, 0, 0))
	f.Add(withThumbnail(a, sample(f, 8, 8, 10)))
	f.Add(append(append([]byte("junk\xff"), a...), a...))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xe0, 0, 2, 0xff, 0xda})
}

func FuzzHeader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := Header(b)
		if err == nil && (info.Width <= 0 || info.Height <= 0 || info.SOS >= info.Scan || info.Scan > len(b) || info.SOF >= info.SOS) {
			t.Errorf("%+v", info)
		}
		_ = info.Subsampling()
	})
}

func FuzzRepair(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		info, want, err := Check(in)
		if !bytes.Equal(in, b) {
			t.Fatal("Check wrote")
		}
		if err != nil {
			return
		}
		app := AppendRepaired(nil, in, info, want)
		out, r, err := Repair(append(make([]byte, 0, len(in)+500), in...))
		if err != nil || r != want || !bytes.Equal(app, out) || len(out) != RepairedSize(len(b), r) {
			t.Fatalf("%+v %v, want %+v", r, err, want)
		}
		if _, again, err := Repair(bytes.Clone(out)); err != nil || again.DHT != 0 || again.EOI != 0 {
			t.Fatalf("a repaired picture needs %+v, %v", again, err)
		}
	})
}

// The way the bytes arrive must not matter, and no byte may get lost.
func FuzzSplitter(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		split := func(r io.Reader) (out [][]byte, skipped int64) {
			var pool frame.Pool
			s := NewSplitter(r, &pool, 0)
			for range len(b) + 1 {
				fr, err := s.Next()
				if err != nil {
					if err != io.EOF {
						t.Fatal(err)
					}
					if pool.Out() != 0 {
						t.Fatalf("%d frames leaked", pool.Out())
					}
					return out, s.Skipped()
				}
				out = append(out, bytes.Clone(fr.Data))
				fr.Release()
			}
			t.Fatal("does not end")
			return
		}
		a, sa := split(bytes.NewReader(b))
		c, sc := split(iotest.OneByteReader(bytes.NewReader(b)))
		n := sa
		for _, p := range a {
			n += int64(len(p))
		}
		if n != int64(len(b)) {
			t.Fatalf("%d bytes in, %d accounted for", len(b), n)
		}
		if sa != sc || len(a) != len(c) {
			t.Fatalf("%d pictures, %d skipped; bytewise %d, %d", len(a), sa, len(c), sc)
		}
		for i := range a {
			if !bytes.Equal(a[i], c[i]) {
				t.Fatalf("picture %d differs", i)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDecoder(Limits{MaxPixels: 1 << 16})
		for _, to := range []frame.FourCC{frame.I420, frame.RGB24, frame.GREY} {
			out, w, h, err := d.Decode(nil, b, to)
			if err == nil && (w <= 0 || h <= 0 || len(out) < w*h) {
				t.Fatalf("%dx%d in %d bytes", w, h, len(out))
			}
		}
	})
}

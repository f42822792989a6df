package mjpeg

import (
	"bytes"
	"errors"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"framepipe/frame"
	"framepipe/pixfmt"
)

// source is the picture of which all files in testdata are versions.
func source(t *testing.T) pixfmt.Image {
	t.Helper()
	f, err := os.Open("testdata/source.png")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	m, _ := pixfmt.View(frame.RGB24, w, h, 0, make([]byte, 3*w*h))
	for y := range h {
		for x := range w {
			r, g, b, _ := img.At(x, y).RGBA()
			o := 3 * (y*w + x)
			m.Planes[0][o], m.Planes[0][o+1], m.Planes[0][o+2] = byte(r>>8), byte(g>>8), byte(b>>8)
		}
	}
	return m
}

func as(t *testing.T, f frame.FourCC, src *pixfmt.Image) pixfmt.Image {
	t.Helper()
	m, err := pixfmt.View(f, src.Width, src.Height, 0, make([]byte, pixfmt.Size(f, src.Width, src.Height, 0)))
	if err == nil {
		err = pixfmt.Convert(&m, src)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPicturesOfOthers(t *testing.T) {
	src := source(t)
	grey := as(t, frame.GREY, &src)
	dec := NewDecoder(Limits{})
	for _, c := range []struct {
		name, sampling       string
		progressive, colours bool
		restart              bool
		rgbPSNR, i420PSNR    float64 // least; thin chroma and 4:2:0 blur the test picture's hard colour edges
	}{
		{"422", "4:2:2", false, true, false, 22, 20}, {"444", "4:4:4", false, true, false, 26, 20}, {"440", "4:4:0", false, true, false, 22, 20},
		{"411", "4:1:1", false, true, false, 18, 18}, {"progressive", "4:2:0", true, true, false, 20, 20}, {"restart", "4:2:0", false, true, true, 20, 20},
		{"grey", "4:0:0", false, false, false, 0, 0}, {"rgb", "4:4:4", false, true, false, 28, 20}, {"ffmpeg422", "4:2:2", false, true, false, 20, 18},
	} {
		b, err := os.ReadFile("testdata/" + c.name + ".jpg")
		if err != nil {
			t.Fatal(err)
		}
		info, r, err := Check(b)
		if err != nil || r.Any() {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		if info.Width != 99 || info.Height != 77 || info.Subsampling() != c.sampling || info.Progressive != c.progressive || (info.RestartInterval > 0) != c.restart || info.Lossless {
			t.Errorf("%s: %s %+v", c.name, info.Subsampling(), info)
		}
		// Its end is found by walking as well as by its last bytes.
		long := append(bytes.Clone(b), 1, 2, 3)
		if _, r, err := Check(long); err != nil || r != (Repairs{Trailing: 3}) {
			t.Errorf("%s with something behind: %+v, %v", c.name, r, err)
		}
		if s, e, ok := Find(append([]byte("junk"), long...)); !ok || s != 4 || e != 4+len(b) {
			t.Errorf("%s found at %d..%d, %v", c.name, s, e, ok)
		}
		out, _, _, err := dec.Decode(nil, b, frame.GREY)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p := psnr(out, grey.Planes[0]); p < 26 {
			t.Errorf("%s: grey PSNR %.1f dB", c.name, p)
		}
		if !c.colours {
			continue
		}
		out, w, h, err := dec.Decode(nil, b, frame.RGB24)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		p := psnr(out, src.Planes[0])
		out, _, _, err = dec.Decode(nil, b, frame.I420)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		yuv, _ := pixfmt.View(frame.I420, w, h, 0, out)
		rgb := as(t, frame.RGB24, &yuv)
		q := psnr(rgb.Planes[0], src.Planes[0])
		t.Logf("%s: %.1f dB as RGB, %.1f dB through I420", c.name, p, q)
		if p < c.rgbPSNR || q < c.i420PSNR {
			t.Errorf("%s: PSNR %.1f dB as RGB, %.1f dB through I420", c.name, p, q)
		}
	}
	b, err := os.ReadFile("testdata/arithmetic.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if info, _, err := Check(b); err != nil || !info.Lossless {
		t.Errorf("arithmetic: %+v, %v", info, err)
	}
	if _, _, _, err := dec.Decode(nil, b, frame.GREY); !errors.Is(err, ErrUnsupported) {
		t.Errorf("arithmetic: %v", err)
	}
}

func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("no ffmpeg here")
	}
	cmd := exec.Command(path, append([]string{"-v", "error", "-nostdin"}, args...)...)
	if in != nil {
		cmd = exec.Command(path, append([]string{"-v", "error"}, args...)...)
		cmd.Stdin = bytes.NewReader(in)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("ffmpeg %v: %v %s", args, err, stderr.String())
	}
	return out
}

// What ffmpeg writes is split as ffmpeg itself splits it, and decodes to the same
// picture but for the rounding of its other inverse DCT.
func TestAgainstFFmpeg(t *testing.T) {
	const n = 12
	stream := ffmpeg(t, nil, "-f", "lavfi", "-i", "testsrc2=size=330x250:rate=25", "-frames:v", "12", "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "3", "-f", "mjpeg", "-")
	raw := ffmpeg(t, stream, "-f", "mjpeg", "-i", "-", "-f", "rawvideo", "-pix_fmt", "yuvj420p", "-")
	size := pixfmt.Size(frame.I420, 330, 250, 0)
	if len(raw) != n*size {
		t.Fatalf("ffmpeg gives %d bytes, want %d", len(raw), n*size)
	}
	var pool frame.Pool
	s := NewSplitter(bytes.NewReader(stream), &pool, 0)
	dec := NewDecoder(Limits{})
	var out []byte
	for i := range n {
		f, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if out, _, _, err = dec.Decode(out, f.Data, frame.I420); err != nil {
			t.Fatal(err)
		}
		if p := psnr(out, raw[i*size:(i+1)*size]); p < 45 {
			t.Errorf("frame %d: %.1f dB from what ffmpeg decodes", i, p)
		}
		f.Release()
	}
	if _, err := s.Next(); err != io.EOF || s.Skipped() != 0 || s.Broken() != 0 {
		t.Errorf("at the end: %v, skipped %d, broken %d", err, s.Skipped(), s.Broken())
	}
}

// ffmpeg reads what we encode and repair.
func TestFFmpegReadsOurs(t *testing.T) {
	enc := NewEncoder()
	src := picture(331, 247)
	dir := t.TempDir()
	good, err := enc.Encode(nil, src, 90)
	if err != nil {
		t.Fatal(err)
	}
	bare := withoutDHT(t, good)
	repaired, r, err := Repair(append(bytes.Clone(bare[:len(bare)-2]), 0, 0))
	if err != nil || r != (Repairs{DHT: 1, EOI: 1, Trailing: 2}) {
		t.Fatalf("%+v, %v", r, err)
	}
	for name, b := range map[string][]byte{"good": good, "repaired": repaired} {
		path := filepath.Join(dir, name+".jpg")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		out := ffmpeg(t, nil, "-i", path, "-f", "rawvideo", "-pix_fmt", "yuvj420p", "-")
		if len(out) != len(src.Data) {
			t.Fatalf("%s: %d bytes, want %d", name, len(out), len(src.Data))
		}
		if p := psnr(out, src.Data); p < 35 {
			t.Errorf("%s: %.1f dB", name, p)
		}
	}
}

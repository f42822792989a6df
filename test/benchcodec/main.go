// Command benchcodec measures the JPEG codec beside its neighbours: our own encoder
// and decoder, libjpeg-turbo through the same interfaces, tjbench (libjpeg-turbo's
// own measure) and ffmpeg's mjpeg, all on one synthetic picture that compresses like
// a photograph. It writes the table into docs/performance.md and draws a plot.
//
// Rounds are interleaved, so that a disturbance meets all alike, and the median is
// given. Times are the processor's, of the whole process, divided by the number of
// frames; only tjbench and slices are wall time, and say so. What a machine has not is
// left out, and named.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
	"framepipe/test/sheet"
)

const quality = 85

// a row is one kind of work by one program.
type row struct {
	work, by string
	measure  func() (time.Duration, error) // per frame
	note     string
	got      []time.Duration
}

func main() {
	rounds := flag.Int("rounds", 5, "`number` of interleaved rounds, whose median is given")
	each := flag.Duration("time", 300*time.Millisecond, "`time` for each measurement")
	doc := flag.String("doc", "docs/performance.md", "`file` whose part between the codec marks is written")
	plot := flag.String("plot", "docs/performance/codec", "plot, as `file`.svg")
	address := flag.String("serve", "", "(for itself) serve a camera that shows the frames of FILE here")
	plain := flag.String("plain", "", "(for itself) measure this work")
	only := flag.String("only", "", "measure only rows whose work or program has this in its name, and write no document")
	flag.Parse()
	if *address != "" {
		if err := serve(*address, flag.Arg(0)); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	if *plain != "" {
		if err := measurePlain(*plain, *each); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*only, *rounds, *each, *doc, *plot); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(only string, rounds int, each time.Duration, doc, plot string) error {
	dir, err := os.MkdirTemp("", "benchcodec-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{each: each, dir: dir}
	if err := errors.Join(b.prepare(), b.plain(), b.serving()); err != nil {
		return err
	}
	b.rows = slices.DeleteFunc(b.rows, func(r *row) bool { return !strings.Contains(r.work+" "+r.by, only) })
	if len(b.rows) == 0 {
		return fmt.Errorf("no row has %q in its name", only)
	}
	for i := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, rounds)
		for _, r := range b.rows {
			d, err := r.measure()
			if err != nil {
				return fmt.Errorf("%s by %s: %w", r.work, r.by, err)
			}
			r.got = append(r.got, d)
		}
	}
	for _, r := range b.rows {
		slices.Sort(r.got)
	}
	fmt.Print(b.table())
	if only != "" {
		return nil
	}
	if err := sheet.Replace(doc, "codec", b.table()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(plot), 0o777); err != nil {
		return err
	}
	return sheet.Bars(plot+".svg", "ms per frame", b.bars())
}

type bench struct {
	each    time.Duration
	dir     string
	rows    []*row
	missing []string
	later   func() // adds tjbench's decoding, which comes with its encoding
}

func (b *bench) add(work, by, note string, f func() (time.Duration, error)) {
	b.rows = append(b.rows, &row{work: work, by: by, note: note, measure: f})
}

// cpu is the processor time of one call of f, which is repeated for b.each.
func (b *bench) cpu(f func() error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		from, err := processCPU()
		if err != nil {
			return 0, err
		}
		n := 0
		for end := time.Now().Add(b.each); n == 0 || time.Now().Before(end); n++ {
			if err := f(); err != nil {
				return 0, err
			}
		}
		to, err := processCPU()
		return (to - from) / time.Duration(n), err
	}
}

func (b *bench) wall(f func() error) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		from, n := time.Now(), 0
		for ; n == 0 || time.Since(from) < b.each; n++ {
			if err := f(); err != nil {
				return 0, err
			}
		}
		return time.Since(from) / time.Duration(n), nil
	}
}

// prepare makes all rows.
func (b *bench) prepare() error {
	codecs := []string{"go"}
	if _, err := mjpeg.Choose("turbo"); err != nil {
		b.missing = append(b.missing, err.Error())
	} else {
		codecs = append(codecs, "turbo")
	}
	for _, w := range []struct {
		format frame.FourCC
		w, h   int
	}{{frame.I420, 640, 480}, {frame.YUYV, 1280, 720}, {frame.RGB24, 640, 480}, {frame.I420, 1920, 1080}} {
		f, err := scene(w.format, w.w, w.h)
		if err != nil {
			return err
		}
		for _, name := range codecs {
			if _, err := mjpeg.Choose(name); err != nil {
				return err
			}
			enc, buf := mjpeg.NewEncoder(), []byte(nil)
			b.add(fmt.Sprintf("encode %s %dx%d", w.format.Word(), w.w, w.h), enc.Name(), "", b.cpu(func() (err error) {
				buf, err = enc.Encode(buf, f, quality)
				return err
			}))
		}
		if w.format == frame.I420 && w.w == 640 {
			if err := b.peersEncode(f); err != nil {
				return err
			}
		}
	}
	if err := b.slices(); err != nil {
		return err
	}
	if _, err := mjpeg.Choose("go"); err != nil {
		return err
	}
	f, err := scene(frame.I420, 640, 480)
	if err != nil {
		return err
	}
	jpg, err := mjpeg.NewEncoder().Encode(nil, f, quality)
	if err != nil {
		return err
	}
	for _, w := range []struct {
		format frame.FourCC
		scale  int
	}{{frame.I420, 1}, {frame.RGB24, 1}, {frame.GREY, 1}, {frame.GREY, 2}, {frame.RGB24, 4}, {frame.GREY, 8}} {
		for _, name := range codecs {
			if _, err := mjpeg.Choose(name); err != nil {
				return err
			}
			dec, buf := mjpeg.NewDecoder(mjpeg.Limits{}), []byte(nil)
			b.add(fmt.Sprintf("decode 640x480 to %s at 1/%d", w.format.Word(), w.scale), dec.Name(), "", b.cpu(func() (err error) {
				buf, _, _, err = dec.DecodeScaled(buf, jpg, w.format, w.scale)
				return err
			}))
		}
		if w.format == frame.I420 {
			b.peersDecode(jpg)
		}
	}
	return nil
}

func (b *bench) slices() error {
	f, err := scene(frame.I420, 1920, 1080)
	if err != nil {
		return err
	}
	for _, n := range []int{1, 2, 4} {
		if n > runtime.GOMAXPROCS(0) {
			break
		}
		enc, buf := mjpeg.NewEncoderWith(mjpeg.EncoderOptions{Slices: n}), []byte(nil)
		b.add("encode yuv 1920x1080, wall", fmt.Sprintf("%s, slices: %d", enc.Name(), n), "wall time", b.wall(func() (err error) {
			buf, err = enc.Encode(buf, f, quality)
			return err
		}))
	}
	return nil
}

// peersEncode adds what other programs need for f, I420.
func (b *bench) peersEncode(f *frame.Frame) error {
	work := fmt.Sprintf("encode yuv %dx%d", f.Width, f.Height)
	if path, err := exec.LookPath("tjbench"); err != nil {
		b.missing = append(b.missing, "tjbench: not installed (Debian: libjpeg-turbo-progs)")
	} else {
		ppm := filepath.Join(b.dir, "picture.ppm")
		if err := writePPM(ppm, f); err != nil {
			return err
		}
		b.add(work, "tjbench -yuv", "wall time", func() (time.Duration, error) { return tjbench(path, ppm, f, 7, b.each) })
		b.later = func() {
			b.add("decode 640x480 to yuv at 1/1", "tjbench -yuv", "wall time", func() (time.Duration, error) { return tjbench(path, ppm, f, 9, b.each) })
		}
	}
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		b.missing = append(b.missing, "ffmpeg: not installed")
		return nil
	}
	raw := filepath.Join(b.dir, "frames.yuv")
	if err := os.WriteFile(raw, bytes.Repeat(f.Data, 20), 0o600); err != nil {
		return err
	}
	enc := mjpeg.NewEncoder()
	ours, err := enc.Encode(nil, f, quality)
	if err != nil {
		return err
	}
	size := strconv.Itoa(f.Width) + "x" + strconv.Itoa(f.Height)
	in := []string{"-v", "error", "-nostdin", "-threads", "1", "-stream_loop", "-1", "-f", "rawvideo", "-pix_fmt", "yuvj420p", "-s", size, "-i", raw}
	best, bestQ := 1<<30, "2" // the quality whose pictures are nearest to ours in size
	for q := 1; q <= 10; q++ {
		out, err := exec.Command(path, append(slices.Clone(in), "-frames:v", "1", "-c:v", "mjpeg", "-huffman", "default", "-q:v", strconv.Itoa(q), "-qmin", "1", "-f", "mjpeg", "-")...).Output()
		if err != nil {
			return fmt.Errorf("ffmpeg: %w", err)
		}
		if d := max(len(out)-len(ours), len(ours)-len(out)); d < best {
			best, bestQ = d, strconv.Itoa(q)
		}
	}
	with := []string{"-c:v", "mjpeg", "-huffman", "default", "-q:v", bestQ, "-qmin", "1"}
	b.add(work, "ffmpeg mjpeg", "-q:v "+bestQ+", less reading", func() (time.Duration, error) {
		enc, err := perFrame(path, in, append(with, "-f", "null", "-"))
		if err != nil {
			return 0, err
		}
		copied, err := perFrame(path, in, []string{"-c:v", "copy", "-f", "null", "-"})
		return enc - copied, err
	})
	return nil
}

func (b *bench) peersDecode(jpg []byte) {
	if b.later != nil {
		b.later()
	}
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return
	}
	name := filepath.Join(b.dir, "frames.mjpeg")
	b.add("decode 640x480 to yuv at 1/1", "ffmpeg mjpeg", "less reading", func() (time.Duration, error) {
		if err := os.WriteFile(name, bytes.Repeat(jpg, 20), 0o600); err != nil {
			return 0, err
		}
		in := []string{"-v", "error", "-nostdin", "-threads", "1", "-stream_loop", "-1", "-f", "mjpeg", "-i", name}
		dec, err := perFrame(path, in, []string{"-f", "null", "-"})
		if err != nil {
			return 0, err
		}
		copied, err := perFrame(path, in, []string{"-c:v", "copy", "-f", "null", "-"})
		return dec - copied, err
	})
}

// perFrame is the processor time that a program needs for a frame more.
func perFrame(path string, in, out []string) (time.Duration, error) {
	cpu := func(n int) (time.Duration, error) {
		args := append(slices.Clone(in), "-frames:v", strconv.Itoa(n))
		cmd := exec.Command(path, append(args, out...)...)
		if b, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, b)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
	}
	few, many := 20, 320
	a, err := cpu(few)
	if err != nil {
		return 0, err
	}
	c, err := cpu(many)
	return (c - a) / time.Duration(many-few), err
}

// tjbench reads one column of its table: 7 is compression, 9 decompression.
func tjbench(path, ppm string, f *frame.Frame, column int, each time.Duration) (time.Duration, error) {
	out, err := exec.Command(path, ppm, strconv.Itoa(quality), "-rgb", "-subsamp", "420", "-yuv", "-quiet", "-nowrite", "-accuratedct",
		"-benchtime", fmt.Sprint(each.Seconds()), "-warmup", "0.1").Output()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(out)) {
		if c := strings.Fields(line); len(c) == 11 && strings.HasPrefix(c[0], "RGB") {
			perSecond, err := strconv.ParseFloat(c[column], 64)
			return time.Duration(float64(f.Width*f.Height) / perSecond * 1e3), err
		}
	}
	return 0, errors.New("its output has no line of results")
}

func writePPM(name string, f *frame.Frame) error {
	src, err := pixfmt.FrameView(f)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("P6\n%d %d\n255\n", f.Width, f.Height)
	b := append([]byte(head), make([]byte, 3*f.Width*f.Height)...)
	dst, err := pixfmt.View(frame.RGB24, f.Width, f.Height, 0, b[len(head):])
	if err != nil {
		return err
	}
	if err := pixfmt.Convert(&dst, &src); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o600)
}

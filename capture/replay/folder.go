package replay

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"framepipe/capture/internal/borrow"
	"framepipe/frame"
	"framepipe/mjpeg"
)

// folder is a reel of picture files in the order a person would sort them.
type folder struct {
	dir   string
	names []string
	every time.Duration
	pos   int

	loaded map[string]*picture // small folders only
	lent   borrow.Frames
}

// picture is a file's contents: a JPEG as it is, or RGB24.
type picture struct {
	data          []byte
	format        frame.FourCC
	width, height int
	err           error
}

func newFolder(dir string, every time.Duration, limit int64) (*folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	r := &folder{dir: dir, every: every}
	var total int64
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".jpg", ".jpeg", ".png":
		default:
			continue
		}
		st, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		if len(r.names) >= maxItems {
			return nil, fmt.Errorf("folder has more than %d pictures", maxItems)
		}
		r.names = append(r.names, e.Name())
		total += st.Size()
	}
	if len(r.names) == 0 {
		return nil, fmt.Errorf("folder has no .jpg, .jpeg or .png files")
	}
	sort.Slice(r.names, func(i, j int) bool { return natural(r.names[i], r.names[j]) })
	if total <= limit {
		r.loaded = make(map[string]*picture, len(r.names))
		total = 0
		for _, n := range r.names {
			p := r.load(n)
			if total += int64(len(p.data)); total > limit { // PNGs grow when they are decoded
				r.loaded = nil
				break
			}
			r.loaded[n] = p
		}
	}
	return r, nil
}

func (r *folder) load(name string) *picture {
	f, err := os.Open(filepath.Join(r.dir, name))
	if err != nil {
		return &picture{err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFrame+1))
	if err == nil && len(b) > maxFrame {
		err = mjpeg.ErrTooLong
	}
	if err != nil {
		return &picture{err: err}
	}
	if bytes.HasPrefix(b, []byte("\x89PNG")) {
		return decodePNG(b)
	}
	return &picture{data: b, format: frame.JPEG}
}

func decodePNG(b []byte) *picture {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err == nil && (c.Width <= 0 || c.Height <= 0 || c.Width > maxFrame/3/c.Height) {
		err = fmt.Errorf("PNG of %dx%d is too large", c.Width, c.Height)
	}
	if err != nil {
		return &picture{err: err}
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return &picture{err: err}
	}
	return &picture{data: toRGB24(img), format: frame.RGB24, width: c.Width, height: c.Height}
}

// toRGB24 drops transparency, over black.
func toRGB24(img image.Image) []byte {
	r := img.Bounds()
	out := make([]byte, 0, 3*r.Dx()*r.Dy())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			out = append(out, c.R, c.G, c.B)
		}
	}
	return out
}

func (r *folder) peek(k int) (time.Duration, bool) {
	return time.Duration(r.pos+k) * r.every, r.pos+k < len(r.names)
}

func (r *folder) skip() error           { r.pos++; return nil }
func (r *folder) rewind() error         { r.pos = 0; return nil }
func (r *folder) length() time.Duration { return time.Duration(len(r.names)) * r.every }
func (r *folder) Close() error          { return nil }

func (r *folder) take() (*frame.Frame, error) {
	if r.pos >= len(r.names) {
		return nil, io.EOF
	}
	name := r.names[r.pos]
	r.pos++
	p := r.loaded[name]
	kept := p != nil
	if !kept {
		p = r.load(name)
	}
	if p.err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errUnreadable, name, p.err)
	}
	var f *frame.Frame
	if kept {
		f = r.lent.Get(p.data)
	} else {
		f = frame.New(p.data, nil)
	}
	f.Format, f.Width, f.Height, f.Stride = p.format, p.width, p.height, 3*p.width
	return f, nil
}

// natural sorts runs of digits by their value: img9 before img10.
func natural(a, b string) bool {
	digits := func(s string) int {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		return n
	}
	x, y := a, b
	for len(x) > 0 && len(y) > 0 {
		n, m := digits(x), digits(y)
		if n > 0 && m > 0 {
			p, q := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
			if len(p) != len(q) {
				return len(p) < len(q)
			}
			if p != q {
				return p < q
			}
			x, y = x[n:], y[m:]
			continue
		}
		if x[0] != y[0] {
			return x[0] < y[0]
		}
		x, y = x[1:], y[1:]
	}
	if len(x) != len(y) {
		return len(x) < len(y)
	}
	return a < b
}

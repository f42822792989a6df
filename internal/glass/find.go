package glass

import (
	"errors"
	"math"
)

// Why a picture cannot be read.
var (
	ErrDark  = errors.New("too dark")
	ErrFlat  = errors.New("no contrast")
	ErrNone  = errors.New("no code in the picture")
	ErrSmall = errors.New("code too small")
)

// MinCell is the side in pixels below which cells are too small to be sure of.
const MinCell = 5

// Reader finds and reads the code in one picture after another. It looks first where
// the code was last. It is used by one goroutine.
type Reader struct {
	last  [4]Point
	known bool

	small  []byte // the picture, reduced
	labels []int32
	stack  []int32
}

// Read finds and reads the code.
func (r *Reader) Read(l *Luma) (Reading, error) {
	if r.known {
		if got, ok := l.read(r.last); ok {
			return got, nil
		}
	}
	r.known = false
	got, err := r.find(l)
	if err == nil {
		r.last, r.known = got.Corners, true
	}
	return got, err
}

// find looks for the code in the whole picture: for the outline of each bright area
// it asks whether the four corners are the code's.
func (r *Reader) find(l *Luma) (best Reading, err error) {
	if l.Width < 48 || l.Height < 32 {
		return best, ErrSmall
	}
	k := max(1, (l.Width+639)/640, (l.Height+479)/480)
	w, h := l.Width/k, l.Height/k
	if cap(r.small) < w*h {
		r.small, r.labels = make([]byte, w*h), make([]int32, w*h)
	}
	s := r.small[:w*h]
	var histogram [256]int
	for y := range h {
		for x := range w {
			sum := 0
			for j := range k {
				for _, v := range l.Pix[(y*k+j)*l.Stride+x*k:][:k] {
					sum += int(v)
				}
			}
			v := byte(sum / (k * k))
			s[y*w+x] = v
			histogram[v]++
		}
	}
	low, high := percentile(&histogram, w*h, .02), percentile(&histogram, w*h, .995)
	switch {
	case high < 40:
		return best, ErrDark
	case high-low < 24:
		return best, ErrFlat
	}
	err = ErrNone
	thresholds := [...]int{otsu(&histogram, w*h), (low + high) / 2, low + (high-low)*3/4, low + (high-low)/4}
	for i, t := range thresholds {
		if i > 0 && t == thresholds[0] {
			continue
		}
		for _, quad := range r.outlines(s, w, h, byte(min(t, 254))) {
			for c := range quad {
				quad[c].X *= float64(k)
				quad[c].Y *= float64(k)
			}
			for _, mirrored := range [2]bool{false, true} {
				for turn := range 4 {
					var c [4]Point
					for i := range 4 {
						if mirrored {
							c[i] = quad[(turn+4-i)%4]
						} else {
							c[i] = quad[(turn+i)%4]
						}
					}
					got, ok := l.read(c)
					if ok && got.Contrast > best.Contrast {
						best, err = got, nil
					}
				}
			}
		}
		if err == nil {
			break
		}
	}
	if err == nil && best.Cell < MinCell {
		err = ErrSmall
	}
	return best, err
}

// outlines lists the corners, clockwise, of every large area brighter than t.
func (r *Reader) outlines(s []byte, w, h int, t byte) (quads [][4]Point) {
	labels := r.labels[:w*h]
	clear(labels)
	left, right := make([]int, h), make([]int, h)
	for start := range s {
		if s[start] <= t || labels[start] != 0 {
			continue
		}
		for y := range h {
			left[y], right[y] = w, -1
		}
		x0, x1, y0, y1 := w, 0, h, 0
		r.stack = append(r.stack[:0], int32(start))
		labels[start] = 1
		for len(r.stack) > 0 {
			at := int(r.stack[len(r.stack)-1])
			r.stack = r.stack[:len(r.stack)-1]
			x, y := at%w, at/w
			left[y], right[y] = min(left[y], x), max(right[y], x)
			x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
			for _, n := range [4]int{at - 1, at + 1, at - w, at + w} {
				if n < 0 || n >= w*h || n == at-1 && x == 0 || n == at+1 && x == w-1 || s[n] <= t || labels[n] != 0 {
					continue
				}
				labels[n] = 1
				r.stack = append(r.stack, int32(n))
			}
		}
		if x1-x0 < 36 && y1-y0 < 36 || x1-x0 < 20 || y1-y0 < 20 || len(quads) >= 64 {
			continue
		}
		// The outer edges of the first and the last pixel of each row hold every corner
		// that the outline can have.
		var edge []Point
		for y := y0; y <= y1; y++ {
			edge = append(edge, Point{float64(left[y]), float64(y)}, Point{float64(left[y]), float64(y + 1)},
				Point{float64(right[y] + 1), float64(y)}, Point{float64(right[y] + 1), float64(y + 1)})
		}
		if q, ok := corners(edge); ok {
			quads = append(quads, q)
		}
	}
	return quads
}

// corners are the four points that span the most: one far from the middle, the one
// farthest from it, and the farthest on either side of the line between them.
func corners(edge []Point) (q [4]Point, ok bool) {
	var middle Point
	for _, p := range edge {
		middle.X += p.X / float64(len(edge))
		middle.Y += p.Y / float64(len(edge))
	}
	far := func(from Point) (best Point) {
		most := -1.0
		for _, p := range edge {
			if d := math.Hypot(p.X-from.X, p.Y-from.Y); d > most {
				most, best = d, p
			}
		}
		return best
	}
	a := far(middle)
	c := far(a)
	var b, d Point
	most, least := 0.0, 0.0
	for _, p := range edge {
		side := (c.X-a.X)*(p.Y-a.Y) - (c.Y-a.Y)*(p.X-a.X)
		if side < least {
			least, b = side, p
		}
		if side > most {
			most, d = side, p
		}
	}
	return [4]Point{a, b, c, d}, most > 0 && least < 0
}

func percentile(h *[256]int, total int, p float64) int {
	want := int(p * float64(total))
	for v, n := range h {
		if want -= n; want < 0 {
			return v
		}
	}
	return 255
}

// otsu is the threshold that parts a histogram best (Otsu 1979).
func otsu(h *[256]int, total int) int {
	var all float64
	for v, n := range h {
		all += float64(v * n)
	}
	var below, sum, most float64
	best := 127
	for v, n := range h {
		below += float64(n)
		above := float64(total) - below
		if sum += float64(v * n); below == 0 || above == 0 {
			continue
		}
		d := sum/below - (all-sum)/above
		if between := below * above * d * d; between > most {
			most, best = between, v
		}
	}
	return best
}

package pattern

import (
	"framepipe/frame"
	"framepipe/pixfmt"
)

// colour is one colour in both of the canvas's formats.
type colour struct{ y, u, v, r, g, b byte }

// rect is x0 <= x < x1, y0 <= y < y1.
type rect struct{ x0, y0, x1, y1 int }

// canvas is a picture that is drawn on, and what has been drawn over its
// background since that was last whole.
type canvas struct {
	pixfmt.Image
	data  []byte
	dirty []rect
	blank bool // nothing valid in it yet
}

func newCanvas(f frame.FourCC, w, h int) *canvas {
	c := &canvas{data: make([]byte, pixfmt.Size(f, w, h, 0)), dirty: make([]rect, 0, 16), blank: true}
	var err error
	if c.Image, err = pixfmt.View(f, w, h, 0, c.data); err != nil {
		panic(err) // sizes were checked by Open
	}
	return c
}

// span fills x0 <= x < x1 of row y; everything drawn goes through it.
func (c *canvas) span(y, x0, x1 int, k colour) {
	x0, x1 = max(x0, 0), min(x1, c.Width)
	if y < 0 || y >= c.Height || x0 >= x1 {
		return
	}
	if c.Format == frame.RGB24 {
		row := c.Planes[0][y*c.Strides[0]+3*x0 : y*c.Strides[0]+3*x1]
		for ; len(row) >= 3; row = row[3:] {
			row[0], row[1], row[2] = k.r, k.g, k.b
		}
		return
	}
	fill(c.Planes[0][y*c.Strides[0]+x0:y*c.Strides[0]+x1], k.y)
	o := y / 2 * c.Strides[1]
	fill(c.Planes[1][o+x0/2:o+(x1+1)/2], k.u)
	fill(c.Planes[2][o+x0/2:o+(x1+1)/2], k.v)
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func (c *canvas) rect(r rect, k colour) {
	for y := r.y0; y < r.y1; y++ {
		c.span(y, r.x0, r.x1, k)
	}
}

func (c *canvas) disc(cx, cy, r int, k colour) {
	x := 0
	for dy := -r; dy <= r; dy++ {
		for x*x+dy*dy <= r*r {
			x++
		}
		for x > 0 && x*x+dy*dy > r*r {
			x--
		}
		c.span(cy+dy, cx-x, cx+x+1, k)
	}
}

// line is a chain of discs.
func (c *canvas) line(x0, y0, x1, y1, r int, k colour) {
	n := max(abs(x1-x0), abs(y1-y0)) / max(1, r)
	for i := 0; i <= n; i++ {
		d := max(n, 1)
		c.disc(x0+(x1-x0)*i/d, y0+(y1-y0)*i/d, r, k)
	}
}

func abs(v int) int { return max(v, -v) }

// touch notes that r will be drawn on.
func (c *canvas) touch(r rect) {
	// Chroma comes in pairs of pixels.
	r = rect{max(r.x0, 0) &^ 1, max(r.y0, 0) &^ 1, min((r.x1+1)&^1, c.Width), min((r.y1+1)&^1, c.Height)}
	if r.x0 < r.x1 && r.y0 < r.y1 {
		c.dirty = append(c.dirty, r)
	}
}

// restore brings the background back where something was drawn, or everywhere.
func (c *canvas) restore(bg *canvas, everything bool) {
	if c.blank || everything {
		copy(c.data, bg.data)
		c.blank = false
	} else {
		for _, r := range c.dirty {
			c.copyRect(bg, r)
		}
	}
	c.dirty = c.dirty[:0]
}

func (c *canvas) copyRect(bg *canvas, r rect) {
	for y := r.y0; y < r.y1; y++ {
		if c.Format == frame.RGB24 {
			o := y * c.Strides[0]
			copy(c.Planes[0][o+3*r.x0:o+3*r.x1], bg.Planes[0][o+3*r.x0:])
			continue
		}
		o := y * c.Strides[0]
		copy(c.Planes[0][o+r.x0:o+r.x1], bg.Planes[0][o+r.x0:])
		if y&1 == 0 {
			o = y / 2 * c.Strides[1]
			copy(c.Planes[1][o+r.x0/2:o+(r.x1+1)/2], bg.Planes[1][o+r.x0/2:])
			copy(c.Planes[2][o+r.x0/2:o+(r.x1+1)/2], bg.Planes[2][o+r.x0/2:])
		}
	}
}

package glass

import "math"

// Reading is what a picture says.
type Reading struct {
	Corners   [4]Point // of the code in the picture: top left, top right, bottom right, bottom left
	Mirrored  bool
	Cell      float64 // side of a cell in pixels, of the shortest edge
	Contrast  float64 // white minus black, 0 to 255
	Noise     float64 // standard deviation within a cell that should be even, of the contrast
	Gray      uint16  // the bits
	Undecided uint16  // which of them are neither: the screen changed while the picture was exposed
}

// Point is in pixels; the first pixel's middle is at 0.5, 0.5.
type Point struct{ X, Y float64 }

// decided is the least difference between a bit's cell and its opposite, of the
// contrast.
const decided = .3

// Numbers lists what the reading can mean: one number, or several if bits are
// undecided. More than three undecided bits mean nothing.
func (r *Reading) Numbers() []uint16 {
	var which []uint16
	for m := uint16(1); m != 0; m <<= 1 {
		if r.Undecided&m != 0 {
			which = append(which, m)
		}
	}
	if len(which) > 3 {
		return nil
	}
	base := r.Gray &^ r.Undecided
	all := make([]uint16, 0, 8)
	for k := range 1 << len(which) {
		g := base
		for i, m := range which {
			if k>>i&1 == 1 {
				g |= m
			}
		}
		all = append(all, FromGray(g))
	}
	return all
}

// mapping takes cells of the grid to pixels: a homography.
type mapping [9]float64

// mapTo is the mapping whose grid has these corners, top left first, in the order of
// Reading.Corners. (Heckbert, Fundamentals of Texture Mapping, 1989, section 2.2.3.)
func mapTo(c [4]Point) mapping {
	dx1, dy1 := c[1].X-c[2].X, c[1].Y-c[2].Y
	dx2, dy2 := c[3].X-c[2].X, c[3].Y-c[2].Y
	sx, sy := c[0].X-c[1].X+c[2].X-c[3].X, c[0].Y-c[1].Y+c[2].Y-c[3].Y
	den := dx1*dy2 - dx2*dy1
	g, h := (sx*dy2-dx2*sy)/den, (dx1*sy-sx*dy1)/den
	m := mapping{c[1].X - c[0].X + g*c[1].X, c[3].X - c[0].X + h*c[3].X, c[0].X, c[1].Y - c[0].Y + g*c[1].Y, c[3].Y - c[0].Y + h*c[3].Y, c[0].Y, g, h, 1}
	for i := 0; i < 9; i += 3 { // from the unit square to cells
		m[i] /= Columns
		m[i+1] /= Rows
	}
	return m
}

func (m *mapping) at(x, y float64) Point {
	w := m[6]*x + m[7]*y + m[8]
	return Point{(m[0]*x + m[1]*y + m[2]) / w, (m[3]*x + m[4]*y + m[5]) / w}
}

// cell is the mean brightness of a cell's middle, and the deviation in it.
func (l *Luma) cell(m *mapping, column, row int) (mean, deviation float64) {
	const n = 4
	var sum, squares float64
	for j := range n {
		for i := range n {
			p := m.at(float64(column)+.3+.4*(float64(i)+.5)/n, float64(row)+.3+.4*(float64(j)+.5)/n)
			v := l.at(p.X, p.Y)
			sum += v
			squares += v * v
		}
	}
	mean = sum / (n * n)
	return mean, math.Sqrt(max(0, squares/(n*n)-mean*mean))
}

// read reads the code whose corners are known; ok is false if there is none.
func (l *Luma) read(c [4]Point) (r Reading, ok bool) {
	m := mapTo(c)
	for _, v := range m {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return r, false
		}
	}
	var white, black, noise float64
	var whites, blacks [64]float64
	nw, nb := 0, 0
	for row := range Rows {
		for col := range Columns {
			ring := min(col, row, Columns-1-col, Rows-1-row)
			if ring > 1 {
				continue
			}
			v, d := l.cell(&m, col, row)
			if White(0, col, row) {
				whites[nw] = v
				nw++
				white += v
				noise += d
			} else {
				blacks[nb] = v
				nb++
				black += v
			}
		}
	}
	white /= float64(nw)
	black /= float64(nb)
	noise /= float64(nw)
	r.Corners, r.Contrast = c, white-black
	if r.Contrast < 16 {
		return r, false
	}
	r.Noise = noise / r.Contrast
	middle, wrong := (white+black)/2, 0
	for _, v := range whites[:nw] {
		if v < middle {
			wrong++
		}
	}
	for _, v := range blacks[:nb] {
		if v > middle {
			wrong++
		}
	}
	// The two marks must be right, whatever else is: without them it is another way up.
	a, _ := l.cell(&m, 1, 1)
	b, _ := l.cell(&m, 2, 1)
	d, _ := l.cell(&m, 1, 2)
	e, _ := l.cell(&m, Columns-2, 1)
	if wrong > (nw+nb)/12 || a < middle || b < middle || d > middle || e > middle {
		return r, false
	}
	r.Cell = math.Inf(1)
	for i := range 4 {
		n, k := float64(Columns), (i+1)%4
		if i%2 == 1 {
			n = Rows
		}
		r.Cell = min(r.Cell, math.Hypot(c[i].X-c[k].X, c[i].Y-c[k].Y)/n)
	}
	area := 0.0
	for i := range 4 {
		k := (i + 1) % 4
		area += c[i].X*c[k].Y - c[k].X*c[i].Y
	}
	r.Mirrored = area < 0
	for i := range Bits {
		col, row := bitCell(i)
		up, _ := l.cell(&m, col, row)
		down, _ := l.cell(&m, col, row+1)
		bit := uint16(1) << (Bits - 1 - i)
		if up > down {
			r.Gray |= bit
		}
		if math.Abs(up-down) < decided*r.Contrast {
			r.Undecided |= bit
		}
	}
	return r, true
}

// Package glass measures the delay from one screen to the frames of a camera that
// films it, with no clock but the receiver's: a page shows the number of each of its
// refreshes as black and white blocks, tells the receiver when it showed which, and
// the receiver reads the numbers back from the camera's frames.
//
// # The code
//
// A grid of 12 x 8 equal cells. The outermost ring is white, so that the code can be
// found; the next ring is black but for two cells at the top left corner, (1,1) and
// (2,1), which tell which way is up and whether the picture is mirrored. Inside are
// 16 bits in two rows of eight, the highest first; each is a cell and, below it, its
// opposite, so that no threshold is needed. The bits are the Gray code of the
// number modulo 65536: from one number to the next one bit changes, so a picture that
// was exposed while the screen changed has one bit that is neither, and still tells
// both numbers. There is no checksum, which would change with every bit: a misread
// number is told by its not having been shown within the last seconds.
//
// It does no input or output; pictures are lumas in memory that belongs to the caller.
package glass

// The grid, in cells.
const (
	Columns = 12
	Rows    = 8
	Bits    = 16
)

// Gray is the Gray code of a number.
func Gray(n uint16) uint16 { return n ^ n>>1 }

// FromGray is its inverse.
func FromGray(g uint16) uint16 {
	for s := 1; s < Bits; s *= 2 {
		g ^= g >> s
	}
	return g
}

// bitCell is where the i-th bit, from the highest, is; its opposite is below.
func bitCell(i int) (column, row int) { return 2 + i%8, 2 + i/8*2 }

// White tells whether a cell of n's code is white.
func White(n uint16, column, row int) bool {
	switch ring := min(column, row, Columns-1-column, Rows-1-row); ring {
	case 0:
		return true
	case 1:
		return row == 1 && (column == 1 || column == 2)
	}
	i := column - 2 + (row-2)/2*8
	on := Gray(n)>>(Bits-1-i)&1 == 1
	return on == ((row-2)%2 == 0)
}

// Luma is a grey picture.
type Luma struct {
	Pix           []byte
	Width, Height int
	Stride        int
}

// at is the brightness at a point, between pixels; outside is black.
func (l *Luma) at(x, y float64) float64 {
	x, y = x-.5, y-.5
	if !(x >= 0 && y >= 0 && x < float64(l.Width-1) && y < float64(l.Height-1)) {
		if !(x >= -.5 && y >= -.5 && x < float64(l.Width)-.5 && y < float64(l.Height)-.5) {
			return 0
		}
		return float64(l.Pix[min(l.Height-1, int(max(0, y)))*l.Stride+min(l.Width-1, int(max(0, x)))])
	}
	i, j := int(x), int(y)
	fx, fy := x-float64(i), y-float64(j)
	p := l.Pix[j*l.Stride+i:]
	return (float64(p[0])*(1-fx)+float64(p[1])*fx)*(1-fy) + (float64(p[l.Stride])*(1-fx)+float64(p[l.Stride+1])*fx)*fy
}

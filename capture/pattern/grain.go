package pattern

import (
	"math/rand/v2"

	"framepipe/frame"
)

// grain is sensor noise: a table of normally distributed values of which each row
// of each frame takes another part.
type grain struct {
	table [1 << 16]int8
}

// newGrain makes noise whose standard deviation is 0.8 levels for each step of the
// option, at the same places for every strength.
func newGrain(strength int) *grain {
	g := new(grain)
	rng := rand.New(rand.NewPCG(1308, 1308))
	for i := range g.table {
		v := rng.NormFloat64() * 0.8 * float64(strength)
		g.table[i] = int8(min(max(v, -127), 127))
	}
	return g
}

// mixHash spreads the bits of x (the finaliser of SplitMix64).
func mixHash(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (g *grain) apply(c *canvas, number uint64) {
	row := uint64(0)
	plane := func(p, width, rows int) {
		for y := range rows {
			row++
			b := c.Planes[p][y*c.Strides[p]:]
			b = b[:width]
			for len(b) > 0 {
				o := int(mixHash(number<<24^row) & (1<<16 - 1))
				b = b[addSaturated(b, g.table[o:]):]
				row += 1 << 16
			}
			row &= 1<<16 - 1
		}
	}
	if c.Format == frame.RGB24 {
		plane(0, 3*c.Width, c.Height)
		return
	}
	plane(0, c.Width, c.Height)
	plane(1, (c.Width+1)/2, (c.Height+1)/2)
	plane(2, (c.Width+1)/2, (c.Height+1)/2)
}

func addSaturated(b []byte, n []int8) int {
	k := min(len(b), len(n))
	b, n = b[:k], n[:k]
	for i, v := range n {
		s := int(b[i]) + int(v)
		b[i] = byte(min(max(s, 0), 255))
	}
	return k
}

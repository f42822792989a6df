//go:build !purego

package mjpeg

import (
	"encoding/binary"
	"unsafe"
)

// Every arm64 machine has NEON.
const (
	transposed = true // the kernel leaves out one of two transpositions
	kernelName = " (NEON)"
)

//go:noescape
func forwardNEON(coef *[64]int16, mask *uint64, src *byte, stride, n int, scale *scaleTable, consts *neonConsts)

// forward is forwardGo, with the same results and a transposed scale table.
func forward(coef [][64]int16, mask []uint64, src []byte, stride int, scale *scaleTable) {
	n := len(coef)
	if n == 0 {
		return
	}
	_, _ = mask[n-1], src[7*stride+8*n-1] // the kernel does not look
	forwardNEON(&coef[0], &mask[0], &src[0], stride, n, scale, &forwardConsts)
}

// neonConsts is what the kernel loads, in this order.
type neonConsts struct {
	factors [4][4]float32
	level   [4]float32
	weights [16]byte
	// Where each byte of eight rows in zigzag order comes from: the first four rows of
	// the transposed block, and the others; 255 for nowhere.
	lower, upper [128]byte
}

var forwardConsts = func() (c neonConsts) {
	for i, f := range []float32{0.707106781, 0.382683433, 0.541196100, 1.306562965} {
		c.factors[i] = [4]float32{f, f, f, f}
	}
	c.level[0] = level
	binary.LittleEndian.PutUint64(c.weights[:], 0x8040201008040201)
	binary.LittleEndian.PutUint64(c.weights[8:], 0x8040201008040201)
	for k, n := range zigzag {
		for i := range 2 {
			from := int(n%8)*16 + int(n/8)*2 + i
			c.lower[2*k+i], c.upper[2*k+i] = 255, 255
			if from < 64 {
				c.lower[2*k+i] = byte(from)
			} else {
				c.upper[2*k+i] = byte(from - 64)
			}
		}
	}
	return
}()

// haveIDCT is a variable as on machines that may have no such kernel.
var haveIDCT = true

//go:noescape
func idctNEON(block *[64]int16, out *byte, stride int, consts *idctTables)

// idctFast is idct8 for blocks that are sane, and clears the block.
func idctFast(block *[64]int16, out *byte, stride int) { idctNEON(block, out, stride, &idctConsts) }

// idct4Fast is idct4, and clears the block: there is no kernel for it.
func idct4Fast(block *[64]int16, out *byte, stride int) {
	idct4(block, unsafe.Slice(out, 3*stride+4), stride)
	*block = [64]int16{}
}

// idctTables is what the kernel loads: its factors, and where each byte of the rows
// comes from when columns lie one behind the other.
type idctTables struct {
	factors [16]int16
	rows    [64]byte
}

var idctConsts = func() (c idctTables) {
	c.factors = [16]int16{10703, 4433, -10704, 2260, 6437, 9633, 11363, -6436, -11362, -2259, 2261, -11363}
	for i := range c.rows {
		c.rows[i] = byte(i%8*8 + i/8)
	}
	return
}()

//go:build !purego

package mjpeg

import (
	"golang.org/x/sys/cpu"
)

var useAVX2 = cpu.X86.HasAVX2

var haveIDCT = useAVX2

// The vector unit leaves out one of two transpositions.
var transposed = useAVX2

var kernelName = map[bool]string{true: " (AVX2)", false: ""}[useAVX2]

//go:noescape
func idctAVX2(block *[64]int16, out *byte, stride int)

//go:noescape
func idct4AVX2(block *[64]int16, out *byte, stride int)

// idct4Fast is idct4 in the same way.
func idct4Fast(block *[64]int16, out *byte, stride int) { idct4AVX2(block, out, stride) }

// idctFast is idct8 for blocks that are sane, and clears the block; it may be called
// if haveIDCT.
func idctFast(block *[64]int16, out *byte, stride int) { idctAVX2(block, out, stride) }

//go:noescape
func forwardAVX2(coef *[64]int16, mask *uint64, src *byte, stride, n int, scale *scaleTable, shuffle *byte)

// forward is forwardGo, with the same results; where transposed is set, scale is too.
func forward(coef [][64]int16, mask []uint64, src []byte, stride int, scale *scaleTable) {
	if !useAVX2 {
		forwardGo(coef, mask, src, stride, scale)
		return
	}
	n := len(coef)
	if n == 0 {
		return
	}
	_, _ = mask[n-1], src[7*stride+8*n-1] // the kernel does not look
	forwardAVX2(&coef[0], &mask[0], &src[0], stride, n, scale, &zigzagShuffle[0])
}

// zigzagShuffle brings transposed rows of 16-bit coefficients into zigzag order: for
// each eight places, one byte shuffle for each row that some of them come from, in
// ascending order.
var zigzagShuffle = func() (s []byte) {
	for r := range 8 {
		for u := range 8 {
			var m [16]byte
			any := false
			for i := range 8 {
				m[2*i], m[2*i+1] = 0x80, 0x80 // gives 0
				if n := zigzag[8*r+i]; int(n%8) == u {
					m[2*i], m[2*i+1] = 2*(n/8), 2*(n/8)+1
					any = true
				}
			}
			if any {
				s = append(s, m[:]...)
			}
		}
	}
	return s
}()

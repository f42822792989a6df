package mjpeg

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// code is a Huffman code with its length.
type code struct {
	bits uint32
	n    uint32
}

// The codes of the typical tables, luminance first.
var (
	dcCodes [2][16]code
	acCodes [2][256]code
)

func init() { // from the segment itself, so that both cannot differ
	for b := standardDHT[4:]; len(b) > 17; {
		counts, values := b[1:17], b[17:]
		next, k := uint32(0), 0
		for n, c := range counts {
			for range c {
				v := code{next, uint32(n + 1)}
				if t := b[0] & 1; b[0]>>4 == 0 {
					dcCodes[t][values[k]] = v
				} else {
					acCodes[t][values[k]] = v
				}
				next++
				k++
			}
			next <<= 1
		}
		b = values[k:]
	}
}

// bitWriter appends bits to b, with a 0 behind each FF.
type bitWriter struct {
	b   []byte
	acc uint64
	n   uint32 // bits of acc that wait
}

// blockRoom is more than a block can take: 64 codes of up to 16 and 11 bits, every
// byte of them doubled.
const blockRoom = 512

// coefficients writes one block in zigzag order; mask has a bit for each AC value
// that is not 0.
func (w *bitWriter) coefficients(q *[64]int32, mask uint64, dc int32, dcs *[16]code, acs *[256]code) {
	if cap(w.b)-len(w.b) < blockRoom {
		w.b = slices.Grow(w.b, max(blockRoom, len(w.b)))
	}
	d := q[0] - dc
	size, val := magnitude(d)
	c := dcs[size&15]
	w.put(c.bits<<size|val, c.n+size)
	last := 0
	for mask != 0 {
		k := bits.TrailingZeros64(mask)
		mask &= mask - 1
		run := k - last - 1
		for ; run > 15; run -= 16 {
			z := acs[0xf0]
			w.put(z.bits, z.n)
		}
		size, val := magnitude(q[k&63])
		c := acs[(uint32(run)<<4|size)&255]
		w.put(c.bits<<size|val, c.n+size)
		last = k
	}
	if last != 63 {
		c := acs[0]
		w.put(c.bits, c.n)
	}
}

// magnitude is the number of bits of |v|, and the bits that stand for v.
func magnitude(v int32) (size, val uint32) {
	s := v >> 31
	size = uint32(bits.Len32(uint32((v ^ s) - s)))
	return size, uint32(v+s) & (1<<size - 1)
}

// put appends the lowest n bits of v, at most 32, above which v is 0.
func (w *bitWriter) put(v, n uint32) {
	w.acc = w.acc<<(n&63) | uint64(v)
	w.n += n
	if w.n < 32 {
		return
	}
	w.n -= 32
	x := uint32(w.acc >> (w.n & 63))
	if not := ^x; (not-0x01010101)&x&0x80808080 == 0 { // no byte is FF
		w.b = binary.BigEndian.AppendUint32(w.b, x)
		return
	}
	for i := 24; i >= 0; i -= 8 {
		c := byte(x >> i)
		w.b = append(w.b, c)
		if c == 0xff {
			w.b = append(w.b, 0)
		}
	}
}

// finish fills the last byte with ones.
func (w *bitWriter) finish() {
	for w.n > 0 {
		k := min(w.n, 8)
		c := byte(w.acc>>(w.n-k)) << (8 - k)
		c |= 1<<(8-k) - 1
		w.n -= k
		w.b = append(w.b, c)
		if c == 0xff {
			w.b = append(w.b, 0)
		}
	}
}

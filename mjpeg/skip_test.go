package mjpeg

import (
	"math/rand/v2"
	"testing"
)

// Blocks that are passed over by several codes at once leave the reader where one code
// at a time does, whatever the tables and the data.
func TestSkipSeveral(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	blocks, several := 0, 0
	for trial := range 400 {
		// Any code that is not full; short codes of long runs among them.
		var counts [16]byte
		var def []byte
		left, n := 1<<16, 0
		for i := range 16 {
			most := left >> (15 - i)
			c := min(rng.IntN(4), most-1, 255-n)
			if i > 8 {
				c = min(rng.IntN(40), most-1, 255-n)
			}
			c = max(c, 0)
			counts[i] = byte(c)
			left -= c << (15 - i)
			n += c
		}
		def = append(def, counts[:]...)
		for range n {
			s := byte(rng.Uint32())
			switch rng.IntN(6) {
			case 0:
				s = 0xf0
			case 1:
				s = 0
			case 2:
				s = s&0x30 | 1
			}
			def = append(def, s)
		}
		var dc, one, more huffTable
		if !dc.build(append(append([]byte{0, 1, 5, 1, 1, 1, 1, 1, 1}, make([]byte, 7)...), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), true) ||
			!one.build(def, false) || !more.build(def, false) {
			t.Fatalf("trial %d: no code: %v", trial, def)
		}
		more.makeSeveral()
		for _, e := range more.several {
			if e != 0 {
				several++
			}
		}
		data := make([]byte, 4000)
		for i := range data {
			data[i] = byte(rng.Uint32())
			if data[i] == 0xff {
				data[i] = 0xfe
			}
		}
		var quant [64]int32
		var a, b goDecoder
		ca, cb := component{dc: &dc, ac: &one, quant: &quant}, component{dc: &dc, ac: &more, quant: &quant}
		for _, d := range []*goDecoder{&a, &b} {
			d.bits.b = data
			d.bits.reset(0)
		}
		for !a.bits.over() {
			okA, okB := a.skip(&ca), b.skip(&cb)
			at := func(r *bitReader) int { return 8*r.pos - int(r.n) + int(r.fed) }
			if okA != okB || okA && (at(&a.bits) != at(&b.bits) || ca.pred != cb.pred) {
				t.Fatalf("trial %d: %v at bit %d one at a time, %v at %d several at once", trial, okA, at(&a.bits), okB, at(&b.bits))
			}
			if !okA {
				break
			}
			blocks++
		}
	}
	if blocks < 10000 || several < 100000 {
		t.Errorf("only %d blocks compared, %d entries", blocks, several)
	}
}

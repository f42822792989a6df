package mjpeg

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// small bounds the values whose code and bits are looked up together.
const small = 32

// encTables are the codes for two sets of components, luminance first. An entry is
// the bits, shifted left by 5, and their number; for AC coefficients of less than
// small the bits of the value are included.
type encTables struct {
	seg    [2][2][]byte       // class, set: counts and values as in a DHT segment
	dc     [2][17]uint32      // by size
	ac     [2][256]uint32     // by run and size
	values [2][16 * 64]uint32 // by run, and value+small
}

var typicalTables = func() (t encTables) {
	for b := standardDHT[4:]; len(b) > 17; {
		n := 17
		for _, c := range b[1:17] {
			n += int(c)
		}
		t.set(int(b[0]>>4), int(b[0]&1), b[1:n])
		b = b[n:]
	}
	return
}()

// set takes counts and values.
func (t *encTables) set(class, id int, def []byte) {
	t.seg[class][id] = append(t.seg[class][id][:0], def...)
	if class == 0 {
		clear(t.dc[id][:])
	} else {
		clear(t.ac[id][:])
		clear(t.values[id][:])
	}
	next, k := uint32(0), 16
	for n := uint32(1); n <= 16; n++ {
		for range def[n-1] {
			e := next<<5 | n
			if class == 0 {
				t.dc[id][min(def[k], 16)] = e
			} else {
				t.ac[id][def[k]] = e
			}
			next++
			k++
		}
		next <<= 1
	}
	if class == 0 {
		return
	}
	for run := range 16 {
		for v := -small + 1; v < small; v++ {
			size, val := magnitude(int32(v))
			if e := t.ac[id][uint32(run)<<4|size]; v != 0 && e != 0 {
				t.values[id][run<<6|(v+small)] = (e>>5<<size|val)<<5 | (e&31 + size)
			}
		}
	}
}

func (t *encTables) appendDHT(b []byte, sets int) []byte {
	n := 2
	for class := range 2 {
		for id := range sets {
			n += 1 + len(t.seg[class][id])
		}
	}
	b = append(b, 0xff, mDHT, byte(n>>8), byte(n))
	for id := range sets {
		for class := range 2 {
			b = append(append(b, byte(class<<4|id)), t.seg[class][id]...)
		}
	}
	return b
}

// magnitude is the number of bits of |v|, and the bits that stand for v.
func magnitude(v int32) (size, val uint32) {
	s := v >> 31
	size = uint32(bits.Len32(uint32((v ^ s) - s)))
	return size, uint32(v+s) & (1<<size - 1)
}

// bitWriter writes to b from pos on, with a 0 behind each FF. The lowest 64-free
// bits of acc wait.
type bitWriter struct {
	b    []byte
	pos  int
	acc  uint64
	free int
}

// blockRoom is more than a block can take: 64 codes of up to 16 and 11 bits, every
// byte of them doubled.
const blockRoom = 512

func (w *bitWriter) room() {
	w.b = slices.Grow(w.b[:w.pos], max(blockRoom, w.pos))
	w.b = w.b[:cap(w.b)]
}

// store writes 64 bits at pos and returns where the next go; there is room for 16 bytes.
func store(b []byte, pos int, x uint64) int {
	d := b[pos : pos+16 : pos+16]
	if x&0x8080808080808080&^(x+0x0101010101010101) == 0 { // no byte is FF
		binary.BigEndian.PutUint64(d, x)
		return pos + 8
	}
	n := 0
	for i := 56; i >= 0; i -= 8 {
		c := byte(x >> i)
		d[n&15] = c
		n++
		if c == 0xff {
			d[n&15] = 0
			n++
		}
	}
	return pos + n
}

// finish fills the last byte with ones.
func (w *bitWriter) finish() {
	if len(w.b)-w.pos < blockRoom {
		w.room()
	}
	n := 64 - w.free
	pad := -n & 7
	w.acc = w.acc<<pad | (1<<pad - 1)
	for n += pad; n > 0; n -= 8 {
		c := byte(w.acc >> (n - 8))
		w.b[w.pos] = c
		w.pos++
		if c == 0xff {
			w.b[w.pos] = 0
			w.pos++
		}
	}
	w.acc, w.free = 0, 64
}

func (w *bitWriter) marker(m byte) {
	w.b[w.pos], w.b[w.pos+1] = 0xff, m
	w.pos += 2
}

// mcuBlock says which blocks of a row belong to one MCU: the first one's index, and
// the step to the next MCU's.
type mcuBlock struct{ at, step, comp int }

func (s *slice) mcuBlocks() (b [6]mcuBlock, n int) {
	l := s.l
	for v := range l.vMax {
		for h := range l.hMax {
			b[n] = mcuBlock{v*l.mcuX*l.hMax + h, l.hMax, 0}
			n++
		}
	}
	if l.n == 3 {
		o := l.mcuX * l.hMax * l.vMax
		b[n], b[n+1] = mcuBlock{o, 1, 1}, mcuBlock{o + l.mcuX, 1, 2}
		n += 2
	}
	return b, n
}

// code writes one row of MCUs.
func (s *slice) code(coef [][64]int16, mask []uint64, dcs *[3]int32) {
	w := &s.w
	t := s.e.tables
	blocks, nb := s.mcuBlocks()
	b, pos, acc, free := w.b, w.pos, w.acc, w.free
	for x := range s.l.mcuX {
		for i := range blocks[:nb] {
			mb := &blocks[i]
			k := mb.at + x*mb.step
			q, m := &coef[k], mask[k]&^1
			set := min(mb.comp, 1)
			if len(b)-pos < blockRoom {
				w.b, w.pos = b, pos
				w.room()
				b = w.b
			}
			d := int32(q[0]) - dcs[mb.comp]
			dcs[mb.comp] = int32(q[0])
			size, val := magnitude(d)
			e := t.dc[set][min(size, 16)]
			v, n := uint64(e>>5<<size|val), int(e&31+size)
			if free -= n; free >= 0 {
				acc = acc<<uint(n&63) | v
			} else {
				pos = store(b, pos, acc<<uint((n+free)&63)|v>>uint(-free&63))
				acc = v
				free += 64
			}
			values := &t.values[set]
			last := 0
			for m != 0 {
				k := bits.TrailingZeros64(m)
				m &= m - 1
				run := k - last - 1
				last = k
				c := int32(q[k&63])
				if run > 15 || uint32(c+small-1) > 2*small-2 {
					for ; run > 15; run -= 16 {
						z := t.ac[set][0xf0]
						v, n := uint64(z>>5), int(z&31)
						if free -= n; free >= 0 {
							acc = acc<<uint(n&63) | v
						} else {
							pos = store(b, pos, acc<<uint((n+free)&63)|v>>uint(-free&63))
							acc = v
							free += 64
						}
					}
					size, val := magnitude(c)
					e := t.ac[set][(uint32(run)<<4|size)&255]
					v, n = uint64(e>>5<<size|val), int(e&31+size)
				} else {
					e := values[(run<<6|int(c+small))&1023]
					v, n = uint64(e>>5), int(e&31)
				}
				if free -= n; free >= 0 {
					acc = acc<<uint(n&63) | v
				} else {
					pos = store(b, pos, acc<<uint((n+free)&63)|v>>uint(-free&63))
					acc = v
					free += 64
				}
			}
			if last != 63 {
				z := t.ac[set][0]
				v, n := uint64(z>>5), int(z&31)
				if free -= n; free >= 0 {
					acc = acc<<uint(n&63) | v
				} else {
					pos = store(b, pos, acc<<uint((n+free)&63)|v>>uint(-free&63))
					acc = v
					free += 64
				}
			}
		}
	}
	w.b, w.pos, w.acc, w.free = b, pos, acc, free
}

// count counts the symbols that code will write: DC in the first two, AC in the others.
func (s *slice) count(coef [][64]int16, mask []uint64, dcs *[3]int32) {
	blocks, nb := s.mcuBlocks()
	for x := range s.l.mcuX {
		for i := range blocks[:nb] {
			mb := &blocks[i]
			k := mb.at + x*mb.step
			q, m := &coef[k], mask[k]&^1
			set := min(mb.comp, 1)
			size, _ := magnitude(int32(q[0]) - dcs[mb.comp])
			dcs[mb.comp] = int32(q[0])
			s.counts[set][size&255]++
			last := 0
			for m != 0 {
				k := bits.TrailingZeros64(m)
				m &= m - 1
				run := k - last - 1
				last = k
				for ; run > 15; run -= 16 {
					s.counts[2+set][0xf0]++
				}
				size, _ := magnitude(int32(q[k&63]))
				s.counts[2+set][(uint32(run)<<4|size)&255]++
			}
			if last != 63 {
				s.counts[2+set][0]++
			}
		}
	}
}

// optimise makes the tables for the symbols that were counted.
func (e *goEncoder) optimise(used []*slice) {
	if e.own == nil {
		e.own = new(encTables)
	}
	for i := range 4 {
		var freq [257]uint32
		for _, s := range used {
			for k, n := range s.counts[i] {
				freq[k] += n
			}
		}
		var def [16 + 256]byte
		e.own.set(i>>1, i&1, def[:huffmanLengths(&freq, &def)])
	}
	e.tables = e.own
}

// huffmanLengths makes counts and values of the best code of at most 16 bits for
// these frequencies (T.81, K.2), and returns how many bytes of def that takes.
func huffmanLengths(freq *[257]uint32, def *[16 + 256]byte) int {
	var size, other [257]int
	for i := range other {
		other[i] = -1
	}
	if *freq == [257]uint32{} {
		freq[0] = 1 // a table that nobody uses
	}
	freq[256] = 1 // keeps the code of all ones free
	for {
		a, b := -1, -1
		for i, f := range freq {
			if f == 0 {
				continue
			}
			if a < 0 || f <= freq[a] {
				a, b = i, a
			} else if b < 0 || f <= freq[b] {
				b = i
			}
		}
		if b < 0 {
			break
		}
		freq[a] += freq[b]
		freq[b] = 0
		for size[a]++; other[a] >= 0; size[a]++ {
			a = other[a]
		}
		other[a] = b
		for size[b]++; other[b] >= 0; size[b]++ {
			b = other[b]
		}
	}
	var counts [258]int
	for _, n := range size {
		counts[n]++
	}
	counts[0] = 0
	for n := len(counts) - 1; n > 16; n-- {
		for counts[n] > 0 {
			j := n - 2
			for counts[j] == 0 {
				j--
			}
			counts[n] -= 2
			counts[n-1]++
			counts[j+1] += 2
			counts[j]--
		}
	}
	last := 16
	for counts[last] == 0 {
		last--
	}
	counts[last]--
	for n := 1; n <= 16; n++ {
		def[n-1] = byte(counts[n])
	}
	k := 16
	for n := 1; n < len(counts); n++ {
		for i, have := range size[:256] {
			if have == n {
				def[k] = byte(i)
				k++
			}
		}
	}
	return k
}

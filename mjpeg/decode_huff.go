package mjpeg

import (
	"bytes"
	"encoding/binary"
)

const (
	lookBits = 10
	passBy   = 12 // bits that are looked up at once where values are not wanted
)

// huffTable decodes one set of codes. look is indexed by the next lookBits bits; an
// entry's low byte is the number of bits that it uses up, the next byte how far the
// index of the coefficient moves (AC: run+1; 0x80 for the end of the block), the high
// half the value. Where code and value together are longer than lookBits, the entry
// is 0 or of the code alone (kind below), and the slow way is taken.
type huffTable struct {
	valid bool
	look  [1 << lookBits]uint32
	// for codes of any length, left-aligned in 16 bits
	maxCode [18]int32 // largest code of n bits, +1, aligned; 0 = none
	first   [17]int32 // what to subtract from a code of n bits to get an index into symbol
	symbol  [256]byte
	count   int
	seg     []byte // counts and values that this was made of

	// several is indexed by the next passBy bits and says what all codes and values
	// that lie in them whole do: 5 bits the bits that they use up, 7 bits how far the
	// index moves, the highest bit whether the last of them is the end of the block.
	// 0: not even one does. Made when it is needed first (AC only).
	several     [1 << passBy]uint16
	haveSeveral bool
}

const severalEOB = 1 << 15

const (
	lookEOB  = 0x80 << 8
	lookSlow = 0
)

// huffmanTables takes one DHT segment. Tables that are as they were are kept.
func (d *goDecoder) huffmanTables(seg []byte) bool {
	for len(seg) > 0 {
		if len(seg) < 17 {
			return false
		}
		class, id := int(seg[0]>>4), int(seg[0]&15)
		n := 0
		for _, c := range seg[1:17] {
			n += int(c)
		}
		if class > 1 || id > 3 || n > 256 || len(seg) < 17+n {
			return false
		}
		t := &d.huff[4*class+id]
		if def := seg[1 : 17+n]; !t.valid || !bytes.Equal(t.seg, def) {
			if t.valid = t.build(def, class == 0); !t.valid {
				return false
			}
			t.seg = append(t.seg[:0], def...)
		}
		seg = seg[17+n:]
	}
	return true
}

func (t *huffTable) build(def []byte, dc bool) bool {
	counts, values := def[:16], def[16:]
	t.count = copy(t.symbol[:], values)
	t.haveSeveral = false
	clear(t.look[:])
	codeWord, k := int32(0), 0
	for n := 1; n <= 16; n++ {
		t.maxCode[n] = 0
		t.first[n] = codeWord - int32(k)
		for range counts[n-1] {
			if codeWord >= 1<<n {
				return false
			}
			if n <= lookBits {
				t.fill(codeWord, n, values[k], dc)
			}
			codeWord++
			k++
		}
		if counts[n-1] > 0 {
			t.maxCode[n] = codeWord << (16 - n)
		}
		codeWord <<= 1
	}
	return true
}

// fill sets the entries that begin with this code.
func (t *huffTable) fill(codeWord int32, n int, symbol byte, dc bool) {
	run, size := int(symbol>>4), int(symbol&15)
	spare := lookBits - n
	for rest := range 1 << spare {
		e := uint32(0)
		switch {
		case size == 0 && dc && run == 0:
			e = uint32(n) | 1<<8
		case size == 0 && run == 0:
			e = uint32(n) | lookEOB
		case size == 0 && run == 15 && !dc:
			e = uint32(n) | 16<<8 // moves on and stores a 0
		case size == 0: // no meaning in sequential pictures; the slow way finds that
		case size <= spare:
			v := int32(rest >> (spare - size))
			if v < 1<<(size-1) {
				v -= 1<<size - 1
			}
			e = uint32(n+size) | uint32(run+1)<<8 | uint32(v)<<16
			if dc && run != 0 {
				e = 0
			}
		}
		t.look[codeWord<<spare|int32(rest)] = e
	}
}

// makeSeveral puts entries of look together.
func (t *huffTable) makeSeveral() {
	for i := range t.several {
		used, ahead := uint32(0), uint32(0)
		e := uint16(0)
		for e == 0 {
			s := t.look[(uint32(i)<<(used+32-passBy))>>(32-lookBits)]
			n := s & 0xff
			if s == lookSlow || used+n > passBy {
				break
			}
			used += n
			if s&lookEOB != 0 {
				e = severalEOB
				break
			}
			if ahead += s >> 8 & 0x7f; ahead > 63 { // more than a block; tables of mischief only
				used, ahead = 0, 0
				break
			}
		}
		t.several[i] = e | uint16(used|ahead<<5)
	}
	t.haveSeveral = true
}

// slow decodes the symbol that acc begins with; n is 0 if there is none.
func (t *huffTable) slow(acc uint64) (symbol byte, n uint) {
	c := int32(acc >> 48)
	for n := 1; n <= 16; n++ {
		if c < t.maxCode[n] {
			i := c>>(16-n) - t.first[n]
			if i < 0 || int(i) >= t.count {
				return 0, 0
			}
			return t.symbol[i], uint(n)
		}
	}
	return 0, 0
}

// bitReader holds the next n bits of the compressed data at the top of acc; bits
// below them may be set already, to what will be read there.
type bitReader struct {
	b   []byte // all of the picture
	pos int
	acc uint64
	n   uint
	fed uint // bits that were invented behind the end or a marker
}

func (r *bitReader) reset(pos int) {
	r.pos, r.acc, r.n, r.fed = pos, 0, 0, 0
}

// fill makes n at least 56. Behind the data it gives zeros.
func (r *bitReader) fill() {
	if r.pos+8 <= len(r.b) && r.fed == 0 {
		x := binary.BigEndian.Uint64(r.b[r.pos:])
		if x&0x8080808080808080&^(x+0x0101010101010101) == 0 {
			r.acc |= x >> (r.n & 63)
			r.pos += int(63-r.n) >> 3
			r.n |= 56
			return
		}
	}
	r.acc &^= ^uint64(0) >> (r.n & 63) // what the fast way left below
	for r.n <= 56 {
		if r.pos >= len(r.b) {
			r.feed()
			return
		}
		c := r.b[r.pos]
		if c == 0xff {
			if r.pos+1 >= len(r.b) || r.b[r.pos+1] != 0 {
				r.feed()
				return
			}
			r.pos++
		}
		r.pos++
		r.acc |= uint64(c) << (56 - r.n)
		r.n += 8
	}
}

func (r *bitReader) feed() {
	r.fed += 63 - r.n
	r.n = 63
}

// over reports whether bits were used that are not there.
func (r *bitReader) over() bool { return r.fed > r.n }

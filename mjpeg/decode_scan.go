package mjpeg

import "framepipe/pixfmt"

// saneSum is how large the magnitudes of a block's coefficients may be in sum so that
// no step of the inverse DCT leaves 16 bits: the first pass multiplies by at most
// 4 * 1.387. No picture that an encoder made comes near; others take the slow twin.
const saneSum = 5900

// zigzagMore is zigzag with room for a run that leads out of the block.
var zigzagMore = func() (z [256]uint8) {
	copy(z[:], zigzag[:])
	for i := 64; i < len(z); i++ {
		z[i] = 63
	}
	return
}()

// entropy decodes one block into d.block, in natural order and dequantised; what is
// not there stays as it was, 0. last is the highest index in zigzag order that was
// set, sum that of the magnitudes; ok is false when the data make no sense.
func (d *goDecoder) entropy(c *component) (last int, sum uint32, ok bool) {
	r := &d.bits
	if r.n < 32 {
		r.fill()
	}
	acc, n := r.acc, r.n
	e := c.dc.look[acc>>(64-lookBits)]
	diff := int32(e) >> 16
	if l := uint(e & 0xff); l != 0 {
		acc <<= l & 63
		n -= l
	} else {
		s, l := c.dc.slow(acc)
		if l == 0 || s > 16 {
			return 0, 0, false
		}
		acc <<= l & 63
		diff = extend(acc, uint(s))
		acc <<= s & 63
		n -= l + uint(s)
	}
	c.pred = int32(int16(c.pred + diff))
	q := c.quant
	dc := c.pred * q[0]
	block := &d.block
	block[0] = int16(dc)
	sum = magnitudeOf(dc)
	look := &c.ac.look
	k := 1
	for k < 64 {
		if n < 32 {
			r.acc, r.n = acc, n
			r.fill()
			acc, n = r.acc, r.n
		}
		e := look[acc>>(64-lookBits)]
		var v int32
		if e != 0 {
			if e&lookEOB != 0 {
				acc <<= e & 63
				n -= uint(e & 63)
				break
			}
			acc <<= e & 63
			n -= uint(e & 63)
			k += int(e >> 8 & 0x7f)
			v = int32(e) >> 16
		} else {
			s, l := c.ac.slow(acc)
			if l == 0 {
				return 0, 0, false
			}
			acc <<= l & 63
			n -= l
			run, size := int(s>>4), uint(s&15)
			if size == 0 {
				if run != 15 { // 0 is the end of the block; no other run has a meaning here
					d.sane = d.sane && run == 0
					break
				}
			} else {
				v = extend(acc, size)
				acc <<= size & 63
				n -= size
			}
			k += run + 1
		}
		v *= q[(k-1)&63]
		block[zigzagMore[(k-1)&255]&63] = int16(v)
		sum += magnitudeOf(v)
	}
	r.acc, r.n = acc, n
	if k > 64 { // a run that leads out of the block is forgiven, as elsewhere
		d.sane = false
	}
	return k - 1, sum, true
}

// skip passes over one block, but for its DC value.
func (d *goDecoder) skip(c *component) (ok bool) {
	r := &d.bits
	if r.n < 32 {
		r.fill()
	}
	acc, n := r.acc, r.n
	e := c.dc.look[acc>>(64-lookBits)]
	diff := int32(e) >> 16
	if l := uint(e & 0xff); l != 0 {
		acc <<= l & 63
		n -= l
	} else {
		s, l := c.dc.slow(acc)
		if l == 0 || s > 16 {
			return false
		}
		acc <<= l & 63
		diff = extend(acc, uint(s))
		acc <<= s & 63
		n -= l + uint(s)
	}
	c.pred = int32(int16(c.pred + diff))
	d.block[0] = int16(c.pred * c.quant[0])
	look, several := &c.ac.look, &c.ac.several
	k := 1
	for k < 64 {
		if n < 32 {
			r.acc, r.n = acc, n
			r.fill()
			acc, n = r.acc, r.n
		}
		// Where a code leads to the end of the block or beyond, those behind it belong
		// to the next one: then they are looked at one by one.
		if e := several[acc>>(64-passBy)]; e != 0 {
			if ahead := k + int(e>>5&0x7f); ahead < 64 {
				acc <<= e & 31
				n -= uint(e & 31)
				if e&severalEOB != 0 {
					break
				}
				k = ahead
				continue
			}
		}
		e := look[acc>>(64-lookBits)]
		if e != 0 {
			acc <<= e & 63
			n -= uint(e & 63)
			if e&lookEOB != 0 {
				break
			}
			k += int(e >> 8 & 0x7f)
			continue
		}
		s, l := c.ac.slow(acc)
		size := uint(s & 15)
		if l == 0 {
			return false
		}
		acc <<= (l + size) & 63
		n -= l + size
		if size == 0 && s != 0xf0 {
			break
		}
		k += int(s>>4) + 1
	}
	r.acc, r.n = acc, n
	return true
}

// extend reads a value of size bits from the top of acc (T.81, F.2.2.1).
func extend(acc uint64, size uint) int32 {
	if size == 0 {
		return 0
	}
	v := int32(acc >> (64 - size))
	if int64(acc) >= 0 {
		v -= 1<<size - 1
	}
	return v
}

func magnitudeOf(v int32) uint32 {
	s := v >> 31
	return uint32((v ^ s) - s)
}

// decode works through all MCUs and returns how many of them came out of the data.
// The others are grey.
func (d *goDecoder) decode(out *pixfmt.Image, b []byte, info *Info) (done int) {
	h := &d.h
	d.prepare(out, info)
	d.bits.b = b
	d.bits.reset(h.scan)
	defer func() {
		d.bits.b = nil
		for c := range h.comp {
			h.comp[c].out = nil
		}
	}()
	for c := range h.n {
		h.comp[c].pred = 0
	}
	left := h.restart // MCUs until the next restart marker
	next := 0         // the MCU that the data go on with
	lost := false     // nothing more to come before `next`
	rst := 0          // number of restart intervals begun
	total := h.mcuX * h.mcuY
	for y, i := 0, 0; y < h.mcuY; y++ {
		d.target(out, y)
		for x := 0; x < h.mcuX; x, i = x+1, i+1 {
			if h.restart > 0 && left == 0 && !lost {
				if to, ok := d.resync(i, rst, total); ok {
					next, rst = to, to/h.restart
				} else {
					next = total
				}
				left = h.restart
				lost = next > i
			}
			if lost && i == next && next < total {
				lost, left = false, h.restart
			}
			if lost {
				d.greyMCU(x)
				continue
			}
			left--
			if d.mcu(x) {
				done++
				continue
			}
			// Nothing in this interval can be trusted any more.
			clear(d.block[:])
			d.greyMCU(x)
			lost, next = true, total
			if h.restart > 0 {
				if to, ok := d.resync(i-i%h.restart+h.restart, rst, total); ok {
					next, rst = to, to/h.restart
				}
			}
		}
		d.emit(out, y)
	}
	return done
}

// resync goes to the next restart marker, which should lead in MCU i; rst is the
// number of markers before. It returns the MCU that data behind it belong to: a
// later one if markers are missing.
func (d *goDecoder) resync(i, rst, total int) (mcu int, ok bool) {
	r := &d.bits
	b := r.b
	for p := r.pos; p+1 < len(b); p++ { // the reader never passes a marker
		if b[p] != 0xff {
			continue
		}
		m := b[p+1]
		if m == mEOI {
			return 0, false
		}
		if m < mRST0 || m > mRST7 {
			continue
		}
		ahead := (int(m-mRST0) - rst) & 7
		if ahead > 4 { // more likely an old one again
			continue
		}
		r.reset(p + 2)
		for c := range d.h.n {
			d.h.comp[c].pred = 0
		}
		mcu = i + ahead*d.h.restart
		return mcu, mcu < total
	}
	return 0, false
}

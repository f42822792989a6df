package mjpeg

import "math"

// aanScale is what the scaled DCT leaves to the quantisation.
var aanScale = [8]float64{1, 1.387039845, 1.306562965, 1.175875602, 1, 0.785694958, 0.541196100, 0.275899379}

// level is what the level shift (128 less for each sample) makes of the DC value;
// everything before is exact or does not depend on it.
const level = 64 * 128

// toInt added to a number below 2^22 leaves it, rounded to the nearest integer (even
// where two are), in the low bits: as the vector units' conversions round.
const toInt = 3 << 22

// forwardGo transforms and quantises len(coef) blocks that lie side by side in src,
// columns first: the scaled DCT of Arai, Agui and Nakajima, whose factors are part of
// the scale table (natural order). Coefficients come out in zigzag order, with a bit
// in mask for each that is not 0. The conversions keep the compiler from fusing
// operations, so that every machine gives the same picture, and the vector twins too.
func forwardGo(coef [][64]int16, mask []uint64, src []byte, stride int, scale *scaleTable) {
	mask = mask[:len(coef)]
	var b [64]float32
	for i := range coef {
		o := 8 * i
		r0, r1 := src[o:o+8:o+8], src[o+stride:o+stride+8:o+stride+8]
		o += 2 * stride
		r2, r3 := src[o:o+8:o+8], src[o+stride:o+stride+8:o+stride+8]
		o += 2 * stride
		r4, r5 := src[o:o+8:o+8], src[o+stride:o+stride+8:o+stride+8]
		o += 2 * stride
		r6, r7 := src[o:o+8:o+8], src[o+stride:o+stride+8:o+stride+8]
		for x := range 8 {
			b[x], b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x] = fdctBytes(int32(r0[x]), int32(r1[x]), int32(r2[x]), int32(r3[x]), int32(r4[x]), int32(r5[x]), int32(r6[x]), int32(r7[x]))
		}
		for y := 0; y < 64; y += 8 {
			r := b[y : y+8 : y+8]
			r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7] = fdct8(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
		}
		b[0] -= level
		q := &coef[i]
		var m uint64
		for k := range 64 {
			n := zigzag[k] & 63
			v := int32(math.Float32bits(float32(b[n]*scale[n])+toInt)) - 0x4b400000
			q[k] = int16(v)
			m |= uint64(uint32(v|-v)>>31) << k
		}
		mask[i] = m
	}
}

// fdctBytes is fdct8 of integers, whose sums are exact either way.
func fdctBytes(a0, a1, a2, a3, a4, a5, a6, a7 int32) (o0, o1, o2, o3, o4, o5, o6, o7 float32) {
	s07, d07 := a0+a7, float32(a0-a7)
	s16, d16 := a1+a6, float32(a1-a6)
	s25, d25 := a2+a5, float32(a2-a5)
	s34, d34 := a3+a4, float32(a3-a4)

	e0, e3 := s07+s34, float32(s07-s34)
	e1, e2 := s16+s25, float32(s16-s25)
	z1 := float32((e2 + e3) * 0.707106781)
	o0, o4, o2, o6 = float32(e0+e1), float32(e0-e1), e3+z1, e3-z1
	o1, o3, o5, o7 = fdctOdd(d07, d16, d25, d34)
	return
}

func fdct8(a0, a1, a2, a3, a4, a5, a6, a7 float32) (o0, o1, o2, o3, o4, o5, o6, o7 float32) {
	s07, d07 := a0+a7, a0-a7
	s16, d16 := a1+a6, a1-a6
	s25, d25 := a2+a5, a2-a5
	s34, d34 := a3+a4, a3-a4

	e0, e3 := s07+s34, s07-s34
	e1, e2 := s16+s25, s16-s25
	z1 := float32((e2 + e3) * 0.707106781)
	o0, o4, o2, o6 = e0+e1, e0-e1, e3+z1, e3-z1
	o1, o3, o5, o7 = fdctOdd(d07, d16, d25, d34)
	return
}

func fdctOdd(d07, d16, d25, d34 float32) (o1, o3, o5, o7 float32) {
	t0, t1, t2 := d34+d25, d25+d16, d16+d07
	z5 := float32((t0 - t2) * 0.382683433)
	z2 := float32(t0*0.541196100) + z5
	z4 := float32(t2*1.306562965) + z5
	z3 := float32(t1 * 0.707106781)
	z11, z13 := d07+z3, d07-z3
	return z11 + z4, z13 - z2, z13 + z2, z11 - z4
}

// zigzag is the natural index of each coefficient in the order of the scan.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// typicalQuant holds tables K.1 (luminance) and K.2 (chrominance) in zigzag order.
var typicalQuant = [2][64]byte{
	{
		16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
		26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
		56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
		95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
	},
	{
		17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	},
}

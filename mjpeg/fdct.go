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

// zeroBits is what a number that rounds to 0 looks like then.
const zeroBits = 0x4b400000

// number has all samples as numbers: looking one up takes less than a conversion.
var number = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(i)
	}
	return
}()

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
		// Both passes are written out: as functions they took a third more time.
		for x := range 8 {
			a0, a1, a2, a3 := number[r0[x]], number[r1[x]], number[r2[x]], number[r3[x]]
			a4, a5, a6, a7 := number[r4[x]], number[r5[x]], number[r6[x]], number[r7[x]]
			d07, d16, d25, d34 := a0-a7, a1-a6, a2-a5, a3-a4
			s07, s16, s25, s34 := a0+a7, a1+a6, a2+a5, a3+a4 // sums of integers are exact
			e0, e1, e2, e3 := s07+s34, s16+s25, s16-s25, s07-s34
			z1 := float32((e2 + e3) * 0.707106781)
			b[x], b[32+x], b[16+x], b[48+x] = e0+e1, e0-e1, e3+z1, e3-z1

			t0, t1, t2 := d34+d25, d25+d16, d16+d07
			z5 := float32((t0 - t2) * 0.382683433)
			z2, z4, z3 := float32(t0*0.541196100)+z5, float32(t2*1.306562965)+z5, float32(t1*0.707106781)
			z11, z13 := d07+z3, d07-z3
			b[8+x], b[24+x], b[40+x], b[56+x] = z11+z4, z13-z2, z13+z2, z11-z4
		}
		// Most coefficients are 0, above all on machines that need this code: those
		// cost a multiplication and a comparison, and the others find their place.
		q := &coef[i]
		*q = [64]int16{}
		var m uint64
		for y := 0; y < 64; y += 8 {
			r, c := (*[8]float32)(b[y:y+8]), (*[8]float32)(scale[y:y+8])
			d07, d16, d25, d34 := r[0]-r[7], r[1]-r[6], r[2]-r[5], r[3]-r[4]
			s07, s16, s25, s34 := r[0]+r[7], r[1]+r[6], r[2]+r[5], r[3]+r[4]
			e0, e1, e2, e3 := s07+s34, s16+s25, s16-s25, s07-s34
			z1 := float32((e2 + e3) * 0.707106781)
			dc := e0 + e1
			if y == 0 {
				dc -= level
			}
			v0, v4 := math.Float32bits(float32(dc*c[0])+toInt), math.Float32bits(float32((e0-e1)*c[4])+toInt)
			v2, v6 := math.Float32bits(float32((e3+z1)*c[2])+toInt), math.Float32bits(float32((e3-z1)*c[6])+toInt)

			t0, t1, t2 := d34+d25, d25+d16, d16+d07
			z5 := float32((t0 - t2) * 0.382683433)
			z2, z4, z3 := float32(t0*0.541196100)+z5, float32(t2*1.306562965)+z5, float32(t1*0.707106781)
			z11, z13 := d07+z3, d07-z3
			v1, v3 := math.Float32bits(float32((z11+z4)*c[1])+toInt), math.Float32bits(float32((z13-z2)*c[3])+toInt)
			v5, v7 := math.Float32bits(float32((z13+z2)*c[5])+toInt), math.Float32bits(float32((z11-z4)*c[7])+toInt)
			z := (*[8]uint8)(unzigzag[y : y+8])
			if (v0^zeroBits)|(v1^zeroBits)|(v2^zeroBits)|(v3^zeroBits) != 0 {
				m |= put(q, z[0], v0) | put(q, z[1], v1) | put(q, z[2], v2) | put(q, z[3], v3)
			}
			if (v4^zeroBits)|(v5^zeroBits)|(v6^zeroBits)|(v7^zeroBits) != 0 {
				m |= put(q, z[4], v4) | put(q, z[5], v5) | put(q, z[6], v6) | put(q, z[7], v7)
			}
		}
		mask[i] = m
	}
}

// put stores a coefficient at its place in the scan, and returns its bit if it is not 0.
// Branches here could not be foreseen.
func put(q *[64]int16, at uint8, v uint32) uint64 {
	v -= zeroBits
	q[at&63] = int16(v)
	return uint64((v|-v)>>31) << (at & 63)
}

// zigzag is the natural index of each coefficient in the order of the scan.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// unzigzag is the place in the scan of each coefficient in natural order.
var unzigzag = func() (u [64]uint8) {
	for k, n := range zigzag {
		u[n] = uint8(k)
	}
	return
}()

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

package mjpeg

// The inverse DCT of Loeffler, Ligtenberg and Moschytz with 13 bits of fraction, and
// its reductions to 4x4 and 2x2 samples, as libjpeg defines them (jidctint.c,
// jidctred.c: "slow, accurate integer"), so that pictures come out the same to the bit.
const (
	constBits = 13
	passBits  = 2

	f0_298631336 = 2446
	f0_390180644 = 3196
	f0_541196100 = 4433
	f0_765366865 = 6270
	f0_899976223 = 7373
	f1_175875602 = 9633
	f1_501321110 = 12299
	f1_847759065 = 15137
	f1_961570560 = 16069
	f2_053119869 = 16819
	f2_562915447 = 20995
	f3_072711026 = 25172

	f0_211164243 = 1730
	f0_509795579 = 4176
	f0_601344887 = 4926
	f0_720959822 = 5906
	f0_850430095 = 6967
	f1_061594337 = 8697
	f1_272758580 = 10426
	f1_451774981 = 11893
	f2_172734803 = 17799
	f3_624509785 = 29692
)

// clampSample moves a sample into its range after the level shift.
func clampSample(v int32) byte {
	v += 128
	if uint32(v) > 255 {
		return byte(^(v >> 31))
	}
	return byte(v)
}

// dcOnly is every sample of a block that has no other coefficient: both passes'
// roundings at once.
func dcOnly(dc int16) byte {
	return clampSample((int32(dc) + 4) >> 3)
}

// odd is the part of the transform that the odd coefficients have.
func odd(t0, t1, t2, t3 int32) (o0, o1, o2, o3 int32) {
	z1, z2, z3, z4 := t0+t3, t1+t2, t0+t2, t1+t3
	z5 := (z3 + z4) * f1_175875602
	t0 *= f0_298631336
	t1 *= f2_053119869
	t2 *= f3_072711026
	t3 *= f1_501321110
	z1 *= -f0_899976223
	z2 *= -f2_562915447
	z3 = z3*-f1_961570560 + z5
	z4 = z4*-f0_390180644 + z5
	return t0 + z1 + z3, t1 + z2 + z4, t2 + z2 + z3, t3 + z1 + z4
}

func idct8(b *[64]int16, out []byte, stride int) {
	var ws [64]int32
	for x := range 8 {
		c1, c2, c3, c4, c5, c6, c7 := b[8+x], b[16+x], b[24+x], b[32+x], b[40+x], b[48+x], b[56+x]
		if c1|c2|c3|c4|c5|c6|c7 == 0 {
			dc := int32(b[x]) << passBits
			ws[x], ws[8+x], ws[16+x], ws[24+x], ws[32+x], ws[40+x], ws[48+x], ws[56+x] = dc, dc, dc, dc, dc, dc, dc, dc
			continue
		}
		z2, z3 := int32(c2), int32(c6)
		z1 := (z2 + z3) * f0_541196100
		t2, t3 := z1-z3*f1_847759065, z1+z2*f0_765366865
		z2, z3 = int32(b[x]), int32(c4)
		t0, t1 := (z2+z3)<<constBits, (z2-z3)<<constBits
		t10, t13, t11, t12 := t0+t3, t0-t3, t1+t2, t1-t2
		o0, o1, o2, o3 := odd(int32(c7), int32(c5), int32(c3), int32(c1))
		const s, r = constBits - passBits, 1 << (constBits - passBits - 1)
		ws[x], ws[56+x] = (t10+o3+r)>>s, (t10-o3+r)>>s
		ws[8+x], ws[48+x] = (t11+o2+r)>>s, (t11-o2+r)>>s
		ws[16+x], ws[40+x] = (t12+o1+r)>>s, (t12-o1+r)>>s
		ws[24+x], ws[32+x] = (t13+o0+r)>>s, (t13-o0+r)>>s
	}
	for y := range 8 {
		w := ws[y*8 : y*8+8 : y*8+8]
		d := out[y*stride:]
		d = d[:8:8]
		z2, z3 := w[2], w[6]
		z1 := (z2 + z3) * f0_541196100
		t2, t3 := z1-z3*f1_847759065, z1+z2*f0_765366865
		t0, t1 := (w[0]+w[4])<<constBits, (w[0]-w[4])<<constBits
		t10, t13, t11, t12 := t0+t3, t0-t3, t1+t2, t1-t2
		o0, o1, o2, o3 := odd(w[7], w[5], w[3], w[1])
		const s, r = constBits + passBits + 3, 1 << (constBits + passBits + 2)
		d[0], d[7] = clampSample((t10+o3+r)>>s), clampSample((t10-o3+r)>>s)
		d[1], d[6] = clampSample((t11+o2+r)>>s), clampSample((t11-o2+r)>>s)
		d[2], d[5] = clampSample((t12+o1+r)>>s), clampSample((t12-o1+r)>>s)
		d[3], d[4] = clampSample((t13+o0+r)>>s), clampSample((t13-o0+r)>>s)
	}
}

func idct4(b *[64]int16, out []byte, stride int) {
	var ws [32]int32
	for x := range 8 {
		if x == 4 {
			continue
		}
		c1, c2, c3, c5, c6, c7 := int32(b[8+x]), int32(b[16+x]), int32(b[24+x]), int32(b[40+x]), int32(b[48+x]), int32(b[56+x])
		if c1|c2|c3|c5|c6|c7 == 0 {
			dc := int32(b[x]) << passBits
			ws[x], ws[8+x], ws[16+x], ws[24+x] = dc, dc, dc, dc
			continue
		}
		const s, r = constBits - passBits + 1, 1 << (constBits - passBits)
		ws[x], ws[8+x], ws[16+x], ws[24+x] = reduce4(int32(b[x]), c1, c2, c3, c5, c6, c7, r, s)
	}
	for y := range 4 {
		w := ws[y*8 : y*8+8 : y*8+8]
		d := out[y*stride:]
		d = d[:4:4]
		const s, r = constBits + passBits + 3 + 1, 1 << (constBits + passBits + 3)
		v0, v1, v2, v3 := reduce4(w[0], w[1], w[2], w[3], w[5], w[6], w[7], r, s)
		d[0], d[1], d[2], d[3] = clampSample(v0), clampSample(v1), clampSample(v2), clampSample(v3)
	}
}

func reduce4(c0, c1, c2, c3, c5, c6, c7, r int32, s uint) (v0, v1, v2, v3 int32) {
	t0 := c0 << (constBits + 1)
	t2 := c2*f1_847759065 - c6*f0_765366865
	t10, t12 := t0+t2+r, t0-t2+r
	t0 = c5*f1_451774981 - c7*f0_211164243 - c3*f2_172734803 + c1*f1_061594337
	t2 = c3*f0_899976223 - c7*f0_509795579 - c5*f0_601344887 + c1*f2_562915447
	return (t10 + t2) >> (s & 31), (t12 + t0) >> (s & 31), (t12 - t0) >> (s & 31), (t10 - t2) >> (s & 31)
}

func idct2(b *[64]int16, out []byte, stride, last int) {
	a0, z0 := reduce2(b[0], b[8], b[24], b[40], b[56])
	a1, z1 := reduce2(b[1], b[9], b[25], b[41], b[57])
	a3, z3 := reduce2(b[3], b[11], b[27], b[43], b[59])
	var a5, z5, a7, z7 int32
	if last >= 15 { // in the scan, what is in these columns comes so late
		a5, z5 = reduce2(b[5], b[13], b[29], b[45], b[61])
		a7, z7 = reduce2(b[7], b[15], b[31], b[47], b[63])
	}
	pair2(out, a0, a1, a3, a5, a7)
	pair2(out[stride:], z0, z1, z3, z5, z7)
}

// reduce2 is a column's two sums.
func reduce2(b0, b1, b3, b5, b7 int16) (v0, v1 int32) {
	const s = constBits - passBits + 2
	t10 := int32(b0)<<(constBits+2) + 1<<(s-1)
	t0 := int32(b5)*f0_850430095 - int32(b7)*f0_720959822 - int32(b3)*f1_272758580 + int32(b1)*f3_624509785
	return (t10 + t0) >> s, (t10 - t0) >> s
}

// pair2 makes two samples of a row of sums.
func pair2(out []byte, w0, w1, w3, w5, w7 int32) {
	const s = constBits + passBits + 3 + 2
	t10 := w0<<(constBits+2) + 1<<(s-1)
	t0 := w5*f0_850430095 - w7*f0_720959822 - w3*f1_272758580 + w1*f3_624509785
	_ = out[1]
	out[0], out[1] = clampSample((t10+t0)>>s), clampSample((t10-t0)>>s)
}

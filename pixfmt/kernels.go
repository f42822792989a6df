package pixfmt

import "framepipe/frame"

// The kernels work on one row (or two that share their chroma). Their loops are
// written so that the compiler sees the slice lengths and drops bounds checks.

// order holds image/color's RGBToYCbCr coefficients (16 bits of fraction) for
// the order in which a format has its three bytes.
type order struct{ y, cb, cr [3]int32 }

var (
	orderRGB = order{[3]int32{19595, 38470, 7471}, [3]int32{-11056, -21712, 32768}, [3]int32{32768, -27440, -5328}}
	orderBGR = order{[3]int32{7471, 38470, 19595}, [3]int32{32768, -21712, -11056}, [3]int32{-5328, -27440, 32768}}
)

func orderOf(f frame.FourCC) *order {
	if f == frame.BGR24 {
		return &orderBGR
	}
	return &orderRGB
}

// mix holds YCbCrToRGB's coefficients for the first and the third byte of a pixel.
type mix struct{ cb0, cr0, cb2, cr2 int32 }

var (
	mixRGB = mix{0, 91881, 116130, 0}
	mixBGR = mix{116130, 0, 0, 91881}
)

func mixOf(f frame.FourCC) mix {
	if f == frame.BGR24 {
		return mixBGR
	}
	return mixRGB
}

// clip gives the 8 bits above the fraction, saturated, as image/color does.
func clip(v int32) byte {
	if uint32(v)&0xff000000 == 0 {
		return byte(v >> 16)
	}
	return byte(^(v >> 31))
}

func lumaOfRGB(d, s []byte, k *order) {
	n := fastLumaOfRGB(d, s, k == &orderBGR)
	lumaOfRGBGo(d[n:], s[3*n:], k)
}

func lumaOfRGBGo(d, s []byte, k *order) {
	k0, k1, k2 := k.y[0], k.y[1], k.y[2]
	for x := 0; x < len(d) && len(s) >= 3; x++ {
		d[x] = byte((k0*int32(s[0]) + k1*int32(s[1]) + k2*int32(s[2]) + 1<<15) >> 16)
		s = s[3:]
	}
}

// chromaOfRGB averages each 2x2 pixels of rows a and b; a last odd column counts
// twice.
func chromaOfRGB(u, v, a, b []byte, k *order) {
	n := fastChromaOfRGB(u, v, a, b, k == &orderBGR)
	chromaOfRGBGo(u[n:], v[n:], a[6*n:], b[6*n:], k)
}

func chromaOfRGBGo(u, v, a, b []byte, k *order) {
	v = v[:len(u)]
	one := func(x int, s0, s1, s2 int32) {
		c0, c1, c2 := (s0+2)>>2, (s1+2)>>2, (s2+2)>>2
		u[x] = clip(k.cb[0]*c0 + k.cb[1]*c1 + k.cb[2]*c2 + 257<<15)
		v[x] = clip(k.cr[0]*c0 + k.cr[1]*c1 + k.cr[2]*c2 + 257<<15)
	}
	x := 0
	for ; x < len(u) && len(a) >= 6 && len(b) >= 6; x++ {
		one(x, int32(a[0])+int32(a[3])+int32(b[0])+int32(b[3]),
			int32(a[1])+int32(a[4])+int32(b[1])+int32(b[4]),
			int32(a[2])+int32(a[5])+int32(b[2])+int32(b[5]))
		a, b = a[6:], b[6:]
	}
	if x < len(u) && len(a) >= 3 && len(b) >= 3 {
		one(x, 2*(int32(a[0])+int32(b[0])), 2*(int32(a[1])+int32(b[1])), 2*(int32(a[2])+int32(b[2])))
	}
}

func lumaOfPacked(d, s []byte, uyvy bool) {
	shift := 0
	if uyvy {
		shift = 8
	}
	n := fastLumaOfPacked(d, s, shift)
	lumaOfPackedGo(d[n:], s[2*n:], uyvy)
}

func lumaOfPackedGo(d, s []byte, uyvy bool) {
	if uyvy && len(s) > 0 {
		s = s[1:]
	}
	for len(d) >= 2 && len(s) >= 3 {
		d[0], d[1] = s[0], s[2]
		d, s = d[2:], s[min(4, len(s)):]
	}
	if len(d) == 1 && len(s) > 0 {
		d[0] = s[0]
	}
}

func chromaOfPacked(u, v, a, b []byte, uyvy bool) {
	shift := 8
	if uyvy {
		shift = 0
	}
	n := fastChromaOfPacked(u, v, a, b, shift)
	chromaOfPackedGo(u[n:], v[n:], a[4*n:], b[4*n:], uyvy)
}

func chromaOfPackedGo(u, v, a, b []byte, uyvy bool) {
	v = v[:len(u)]
	i, j := 1, 3
	if uyvy {
		i, j = 0, 2
	}
	for x := 0; x < len(u) && len(a) >= 4 && len(b) >= 4; x++ {
		u[x] = byte((uint32(a[i&3]) + uint32(b[i&3]) + 1) >> 1)
		v[x] = byte((uint32(a[j&3]) + uint32(b[j&3]) + 1) >> 1)
		a, b = a[4:], b[4:]
	}
}

func splitUV(u, v, s []byte) {
	n := fastSplitUV(u, v, s)
	splitUVGo(u[n:], v[n:], s[2*n:])
}

func splitUVGo(u, v, s []byte) {
	v = v[:len(u)]
	for x := 0; x < len(u) && len(s) >= 2; x++ {
		u[x], v[x] = s[0], s[1]
		s = s[2:]
	}
}

func mergeUV(d, u, v []byte) {
	v = v[:len(u)]
	for x := 0; x < len(u) && len(d) >= 2; x++ {
		d[0], d[1] = u[x], v[x]
		d = d[2:]
	}
}

// pack interleaves; a last odd column's luma is there twice.
func pack(d, yy, u, v []byte, uyvy bool) {
	v = v[:len(u)]
	for x := 0; x < len(u) && len(d) >= 4 && len(yy) > 0; x++ {
		y0, y1 := yy[0], yy[len(yy)-1]
		if len(yy) >= 2 {
			y1 = yy[1]
			yy = yy[2:]
		}
		if uyvy {
			d[0], d[1], d[2], d[3] = u[x], y0, v[x], y1
		} else {
			d[0], d[1], d[2], d[3] = y0, u[x], y1, v[x]
		}
		d = d[4:]
	}
}

func planarToRGB(d, yy, u, v []byte, m mix) {
	n := fastPlanarToRGB(d, yy, u, v, m == mixBGR)
	planarToRGBGo(d[3*n:], yy[n:], u[n/2:], v[n/2:], m)
}

func planarToRGBGo(d, yy, u, v []byte, m mix) {
	v = v[:len(u)]
	for x := 0; x < len(u); x++ {
		cb, cr := int32(u[x])-128, int32(v[x])-128
		c0, c1, c2 := m.cb0*cb+m.cr0*cr, -22554*cb-46802*cr, m.cb2*cb+m.cr2*cr
		if len(d) >= 6 && len(yy) >= 2 {
			y0, y1 := int32(yy[0])*0x10101, int32(yy[1])*0x10101
			d[0], d[1], d[2] = clip(y0+c0), clip(y0+c1), clip(y0+c2)
			d[3], d[4], d[5] = clip(y1+c0), clip(y1+c1), clip(y1+c2)
			d, yy = d[6:], yy[2:]
		} else if len(d) >= 3 && len(yy) >= 1 {
			y0 := int32(yy[0]) * 0x10101
			d[0], d[1], d[2] = clip(y0+c0), clip(y0+c1), clip(y0+c2)
		}
	}
}

// piece is how many pixels are taken apart before they are converted.
const piece = 256

func nv12ToRGB(d, yy, uv []byte, m mix) {
	if fastRGB() {
		var u, v [piece / 2]byte
		for len(yy) > 0 {
			n := min(len(yy), piece)
			c := half(n)
			splitUV(u[:c], v[:c], uv[:2*c])
			planarToRGB(d[:3*n], yy[:n], u[:c], v[:c], m)
			d, yy, uv = d[3*n:], yy[n:], uv[2*c:]
		}
		return
	}
	nv12ToRGBGo(d, yy, uv, m)
}

func nv12ToRGBGo(d, yy, uv []byte, m mix) {
	for len(uv) >= 2 {
		cb, cr := int32(uv[0])-128, int32(uv[1])-128
		uv = uv[2:]
		c0, c1, c2 := m.cb0*cb+m.cr0*cr, -22554*cb-46802*cr, m.cb2*cb+m.cr2*cr
		if len(d) >= 6 && len(yy) >= 2 {
			y0, y1 := int32(yy[0])*0x10101, int32(yy[1])*0x10101
			d[0], d[1], d[2] = clip(y0+c0), clip(y0+c1), clip(y0+c2)
			d[3], d[4], d[5] = clip(y1+c0), clip(y1+c1), clip(y1+c2)
			d, yy = d[6:], yy[2:]
		} else if len(d) >= 3 && len(yy) >= 1 {
			y0 := int32(yy[0]) * 0x10101
			d[0], d[1], d[2] = clip(y0+c0), clip(y0+c1), clip(y0+c2)
		}
	}
}

// packedToRGB takes YUYV with swap 0 and UYVY with swap 1: that is where in a
// pair of bytes the luma is.
func packedToRGB(d, s []byte, w, swap int, m mix) {
	if fastRGB() {
		var y [piece]byte
		var u, v [piece / 2]byte
		for w > 0 {
			n := min(w, piece)
			c := half(n)
			lumaOfPacked(y[:n], s[:4*c], swap == 1)
			chromaOfPacked(u[:c], v[:c], s[:4*c], s[:4*c], swap == 1)
			planarToRGB(d[:3*n], y[:n], u[:c], v[:c], m)
			d, s, w = d[3*n:], s[4*c:], w-n
		}
		return
	}
	packedToRGBGo(d, s, w, swap, m)
}

func packedToRGBGo(d, s []byte, w, swap int, m mix) {
	l, c := swap&1, 1-swap&1
	for ; w > 0 && len(s) >= 4; w -= 2 {
		q := s[:4:4]
		s = s[4:]
		cb, cr := int32(q[c])-128, int32(q[c+2])-128
		c0, c1, c2 := m.cb0*cb+m.cr0*cr, -22554*cb-46802*cr, m.cb2*cb+m.cr2*cr
		y0, y1 := int32(q[l])*0x10101, int32(q[l+2])*0x10101
		if len(d) >= 6 {
			d[0], d[1], d[2] = clip(y0+c0), clip(y0+c1), clip(y0+c2)
			d[3], d[4], d[5] = clip(y1+c0), clip(y1+c1), clip(y1+c2)
			d = d[6:]
		} else if len(d) >= 3 {
			d[0], d[1], d[2] = clip(y0+c0), clip(y0+c1), clip(y0+c2)
		}
	}
}

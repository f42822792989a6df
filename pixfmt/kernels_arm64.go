//go:build !purego

package pixfmt

// fastRGB says that taking packed pixels apart first pays.
func fastRGB() bool { return true }

//go:noescape
func evenOddNEON(even, odd, src *byte, n int)

//go:noescape
func bytesNEON(dst, src *byte, n, odd int)

//go:noescape
func chromaNEON(u, v, a, b *byte, n, odd int)

//go:noescape
func rgbNEON(dst, y, u, v *byte, n, bgr int, factors *[8]int16)

// The functions below do as much of a row as the vector unit can, and return how many
// samples of their first argument (of luma, for RGB) that is; the plain kernels do the
// rest.

func fastLumaOfPacked(d, s []byte, shift int) int {
	n := min(len(d), len(s)/2) &^ 15
	if n > 0 {
		bytesNEON(&d[0], &s[0], n, shift)
	}
	return n
}

func fastChromaOfPacked(u, v, a, b []byte, shift int) int {
	n := min(len(u), len(v), len(a)/4, len(b)/4) &^ 15
	if n > 0 {
		chromaNEON(&u[0], &v[0], &a[0], &b[0], n, shift)
	}
	return n
}

func fastSplitUV(u, v, s []byte) int {
	n := min(len(u), len(v), len(s)/2) &^ 15
	if n > 0 {
		evenOddNEON(&u[0], &v[0], &s[0], n)
	}
	return n
}

// rgbFactors are what is left of planarToRGB's without their integer parts: red of cr,
// blue of cb, green of both.
var rgbFactors = [8]int16{26345, -14942, -22554, 18734}

func fastPlanarToRGB(d, yy, u, v []byte, bgr bool) int {
	n := min(len(yy), 2*len(u), 2*len(v), len(d)/3) &^ 15
	if n == 0 {
		return 0
	}
	swap := 0
	if bgr {
		swap = 1
	}
	rgbNEON(&d[0], &yy[0], &u[0], &v[0], n, swap, &rgbFactors)
	return n
}

// Red, green and blue to luma and chroma have no kernel here.

func fastLumaOfRGB(d, s []byte, bgr bool) int         { return 0 }
func fastChromaOfRGB(u, v, a, b []byte, bgr bool) int { return 0 }

//go:build !purego

package pixfmt

import "golang.org/x/sys/cpu"

var useAVX2 = cpu.X86.HasAVX2

// fastRGB says that taking packed pixels apart first pays.
func fastRGB() bool { return useAVX2 }

//go:noescape
func bytesAVX2(dst, src *byte, n, shift int)

//go:noescape
func chromaAVX2(u, v, a, b *byte, n, shift int)

//go:noescape
func evenOddAVX2(even, odd, src *byte, n int)

//go:noescape
func rgbAVX2(dst, y, u, v *byte, n, bgr int)

// The functions below do as much of a row as the vector unit can, and return how many
// samples of their first argument (of luma, for RGB) that is; the plain kernels do the
// rest.

func fastLumaOfPacked(d, s []byte, shift int) int {
	n := min(len(d), len(s)/2) &^ 31
	if !useAVX2 || n == 0 {
		return 0
	}
	bytesAVX2(&d[0], &s[0], n, shift)
	return n
}

func fastChromaOfPacked(u, v, a, b []byte, shift int) int {
	n := min(len(u), len(v), len(a)/4, len(b)/4) &^ 15
	if !useAVX2 || n == 0 {
		return 0
	}
	chromaAVX2(&u[0], &v[0], &a[0], &b[0], n, shift)
	return n
}

func fastSplitUV(u, v, s []byte) int {
	n := min(len(u), len(v), len(s)/2) &^ 31
	if !useAVX2 || n == 0 {
		return 0
	}
	evenOddAVX2(&u[0], &v[0], &s[0], n)
	return n
}

func fastPlanarToRGB(d, yy, u, v []byte, bgr bool) int {
	n := min(len(yy), 2*len(u), 2*len(v), len(d)/3) &^ 31
	if !useAVX2 || n == 0 {
		return 0
	}
	rgbAVX2(&d[0], &yy[0], &u[0], &v[0], n, number(bgr))
	return n
}

//go:noescape
func lumaRGBAVX2(d, s *byte, n, bgr int)

//go:noescape
func chromaRGBAVX2(u, v, a, b *byte, n, bgr int)

func fastLumaOfRGB(d, s []byte, bgr bool) int {
	n := min(len(d), len(s)/3) &^ 15
	if !useAVX2 || n == 0 {
		return 0
	}
	lumaRGBAVX2(&d[0], &s[0], n, number(bgr))
	return n
}

func fastChromaOfRGB(u, v, a, b []byte, bgr bool) int {
	n := min(len(u), len(v), len(a)/6, len(b)/6) &^ 7
	if !useAVX2 || n == 0 {
		return 0
	}
	chromaRGBAVX2(&u[0], &v[0], &a[0], &b[0], n, number(bgr))
	return n
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

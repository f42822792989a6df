package pixfmt

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// compareTwins runs every kernel that has a vector form beside its plain twin, on
// rows of w pixels.
func compareTwins(t *testing.T, w int, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, uint64(w)))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
			if rng.IntN(4) == 0 { // the ends of the scale
				b[i] = byte(int8(rng.IntN(2)) - 1)
			}
		}
		return b
	}
	cw := half(w)
	same := func(what string, a, b []byte) {
		t.Helper()
		if !bytes.Equal(a, b) {
			t.Fatalf("%s of %d pixels: %v, the twin has %v", what, w, a, b)
		}
	}
	a, b := random(4*cw), random(4*cw)
	y, u, v := random(w), random(cw), random(cw)
	for _, uyvy := range []bool{false, true} {
		d, e := make([]byte, w), make([]byte, w)
		lumaOfPacked(d, a, uyvy)
		lumaOfPackedGo(e, a, uyvy)
		same("luma of packed", d, e)
		du, dv, eu, ev := make([]byte, cw), make([]byte, cw), make([]byte, cw), make([]byte, cw)
		chromaOfPacked(du, dv, a, b, uyvy)
		chromaOfPackedGo(eu, ev, a, b, uyvy)
		same("chroma of packed", append(du, dv...), append(eu, ev...))
	}
	du, dv, eu, ev := make([]byte, cw), make([]byte, cw), make([]byte, cw), make([]byte, cw)
	splitUV(du, dv, a)
	splitUVGo(eu, ev, a)
	same("UV apart", append(du, dv...), append(eu, ev...))
	r, q := random(3*w), random(3*w)
	for _, k := range []*order{&orderRGB, &orderBGR} {
		d, e := make([]byte, w), make([]byte, w)
		lumaOfRGB(d, r, k)
		lumaOfRGBGo(e, r, k)
		same("luma of RGB", d, e)
		chromaOfRGB(du, dv, r, q, k)
		chromaOfRGBGo(eu, ev, r, q, k)
		same("chroma of RGB", append(du, dv...), append(eu, ev...))
	}
	for _, m := range []mix{mixRGB, mixBGR} {
		d, e := make([]byte, 3*w), make([]byte, 3*w)
		planarToRGB(d, y, u, v, m)
		planarToRGBGo(e, y, u, v, m)
		same("RGB", d, e)
		nv12ToRGB(d, y, a[:2*cw], m)
		nv12ToRGBGo(e, y, a[:2*cw], m)
		same("NV12 to RGB", d, e)
		for swap := range 2 {
			packedToRGB(d, a, w, swap, m)
			packedToRGBGo(e, a, w, swap, m)
			same("packed to RGB", d, e)
		}
	}
}

func TestTwins(t *testing.T) {
	for w := 1; w < 300; w++ {
		compareTwins(t, w, uint64(w))
	}
}

func FuzzTwins(f *testing.F) {
	f.Add(uint8(33), uint64(1))
	f.Fuzz(func(t *testing.T, w uint8, seed uint64) { compareTwins(t, int(w)+1, seed) })
}

// All colours that there are.
func TestRGBTwinOnAllColours(t *testing.T) {
	if testing.Short() {
		t.Skip("16 million colours")
	}
	y, u, v := make([]byte, 256), make([]byte, 128), make([]byte, 128)
	d, e := make([]byte, 768), make([]byte, 768)
	for i := range y {
		y[i] = byte(i)
	}
	for c := range 65536 {
		for i := range u {
			u[i], v[i] = byte(c), byte(c>>8)
		}
		planarToRGB(d, y, u, v, mixRGB)
		planarToRGBGo(e, y, u, v, mixRGB)
		if !bytes.Equal(d, e) {
			t.Fatalf("chroma %d %d", byte(c), byte(c>>8))
		}
	}
}

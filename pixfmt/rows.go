package pixfmt

import "framepipe/frame"

// RowToRGB makes one row of RGB24 or BGR24 (format) of planar samples. If full, each
// pixel has its own chroma, else two share one: u and v have half as many samples
// as y, rounded up. D has 3 bytes for each of y.
func RowToRGB(format frame.FourCC, d, y, u, v []byte, full bool) {
	m := mixOf(format)
	if full {
		fullToRGB(d, y, u, v, m)
		return
	}
	planarToRGB(d, y, u, v, m)
}

// GreyRowToRGB makes one row of RGB24 or BGR24 of luma.
func GreyRowToRGB(d, y []byte) {
	for x, v := range y {
		p := d[3*x : 3*x+3 : 3*x+3]
		p[0], p[1], p[2] = v, v, v
	}
}

// fullToRGB is planarToRGB for chroma that is not thinned out.
func fullToRGB(d, yy, u, v []byte, m mix) {
	u, v = u[:len(yy)], v[:len(yy)]
	for x := 0; x < len(yy) && len(d) >= 3; x++ {
		cb, cr := int32(u[x])-128, int32(v[x])-128
		y := int32(yy[x]) * 0x10101
		d[0], d[1], d[2] = clip(y+m.cb0*cb+m.cr0*cr), clip(y-22554*cb-46802*cr), clip(y+m.cb2*cb+m.cr2*cr)
		d = d[3:]
	}
}

// SplitChroma fills the chroma planes of dst, I420, from src, NV12 of the same size.
func SplitChroma(dst, src *Image) {
	cw := half(src.Width)
	for y := range half(src.Height) {
		splitUV(dst.row(1, y, cw), dst.row(2, y, cw), src.row(1, y, 2*cw))
	}
}

// Split422 takes one row of YUYV or UYVY (format) apart: len(y) pixels, and half as
// many of each chroma, rounded up.
func Split422(y, u, v, src []byte, format frame.FourCC) {
	uyvy := format == frame.UYVY
	lumaOfPacked(y, src, uyvy)
	chromaOfPacked(u, v, src, src, uyvy)
}

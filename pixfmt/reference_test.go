package pixfmt

import (
	"image/color"
	"math/rand/v2"

	"framepipe/frame"
)

// The slow twin: one pixel at a time, straight from the kernel's description of
// the layouts and from image/color.

var all = []frame.FourCC{frame.I420, frame.NV12, frame.YUYV, frame.UYVY, frame.RGB24, frame.BGR24, frame.GREY}

func (m *Image) at(p, x, y int) byte { return m.Planes[p][y*m.Strides[p]+x] }

// refYUV is the stored luma and chroma of pixel x, y.
func refYUV(m *Image, x, y int) (Y, u, v byte) {
	switch m.Format {
	case frame.I420:
		return m.at(0, x, y), m.at(1, x/2, y/2), m.at(2, x/2, y/2)
	case frame.NV12:
		return m.at(0, x, y), m.at(1, x/2*2, y/2), m.at(1, x/2*2+1, y/2)
	case frame.YUYV:
		return m.at(0, 2*x, y), m.at(0, x/2*4+1, y), m.at(0, x/2*4+3, y)
	case frame.UYVY:
		return m.at(0, 2*x+1, y), m.at(0, x/2*4, y), m.at(0, x/2*4+2, y)
	case frame.GREY:
		return m.at(0, x, y), 128, 128
	}
	r, g, b := refRGB(m, x, y)
	return color.RGBToYCbCr(r, g, b)
}

func refRGB(m *Image, x, y int) (r, g, b byte) {
	switch m.Format {
	case frame.RGB24:
		return m.at(0, 3*x, y), m.at(0, 3*x+1, y), m.at(0, 3*x+2, y)
	case frame.BGR24:
		return m.at(0, 3*x+2, y), m.at(0, 3*x+1, y), m.at(0, 3*x, y)
	case frame.GREY:
		v := m.at(0, x, y)
		return v, v, v
	}
	Y, u, v := refYUV(m, x, y)
	return color.YCbCrToRGB(Y, u, v)
}

// refChroma is the chroma of the I420 picture at chroma position cx, cy.
func refChroma(m *Image, cx, cy int) (u, v byte) {
	x0, y0 := 2*cx, 2*cy
	x1, y1 := min(x0+1, m.Width-1), min(y0+1, m.Height-1)
	switch {
	case isRGB(m.Format):
		var r, g, b int
		for _, p := range [4][2]int{{x0, y0}, {x1, y0}, {x0, y1}, {x1, y1}} {
			pr, pg, pb := refRGB(m, p[0], p[1])
			r, g, b = r+int(pr), g+int(pg), b+int(pb)
		}
		_, u, v = color.RGBToYCbCr(byte((r+2)/4), byte((g+2)/4), byte((b+2)/4))
		return u, v
	case m.Format == frame.YUYV || m.Format == frame.UYVY:
		_, u0, v0 := refYUV(m, x0, y0)
		_, u1, v1 := refYUV(m, x0, y1)
		return byte((int(u0) + int(u1) + 1) / 2), byte((int(v0) + int(v1) + 1) / 2)
	}
	_, u, v = refYUV(m, x0, y0)
	return u, v
}

// random makes a picture with random contents and the given extra stride and rows.
func random(rng *rand.Rand, f frame.FourCC, w, h, moreStride, moreRows int) Image {
	stride := Stride(f, w) + moreStride
	data := make([]byte, Size(f, w, h+moreRows, stride))
	for i := range data {
		data[i] = byte(rng.Uint32())
		if rng.IntN(4) == 0 {
			data[i] = byte(rng.IntN(2) * 255) // the ends, where saturation happens
		}
	}
	m, err := ViewPadded(f, w, h, stride, h+moreRows, data)
	if err != nil {
		panic(err)
	}
	return m
}

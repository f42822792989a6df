//go:build linux

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
)

// quirks are the ways in which real cameras' pictures are broken.
var quirks = []string{"none", "nodht", "trailing", "noeoi", "empty", "truncated", "error"}

func known(q string) bool { return slices.Contains(quirks, q) }

// distinct is how many pictures of a size are drawn; after that they repeat,
// but for the number in their comment. Encoding each anew would be too slow on an
// emulated processor.
const distinct = 6

// pictures makes the frames. It is used by one goroutine.
type pictures struct {
	quirk string
	every int

	w, h   int
	drawn  [][]byte
	number int
	broken bool // the present one
}

// get is the next picture. Its number is in a comment behind SOI: "usbcam 17".
func (p *pictures) get(w, h int) []byte {
	if p.w != w || p.h != h {
		p.w, p.h, p.drawn = w, h, nil
	}
	if len(p.drawn) < distinct {
		p.drawn = append(p.drawn, draw(w, h, len(p.drawn)))
	}
	b := p.drawn[p.number%len(p.drawn)]
	p.number++
	p.broken = p.number%p.every == 0
	text := fmt.Sprintf("usbcam %d", p.number)
	out := slices.Concat(b[:2], []byte{0xff, 0xfe, 0, byte(len(text) + 2)}, []byte(text), b[2:])
	if p.broken {
		return spoil(out, p.quirk)
	}
	return out
}

// flagError says whether the payload header's error bit is to be set.
func (p *pictures) flagError() bool { return p.broken && p.quirk == "error" }

func spoil(b []byte, quirk string) []byte {
	switch quirk {
	case "nodht":
		return withoutTables(b)
	case "trailing":
		return append(b, make([]byte, 37)...)
	case "noeoi":
		return b[:len(b)-2]
	case "truncated":
		return b[:len(b)/2]
	case "empty":
		return nil
	}
	return b
}

// withoutTables drops the Huffman tables, which are the standard ones: that is
// legal in AVI and common in webcams.
func withoutTables(b []byte) []byte {
	out := slices.Clone(b[:2])
	for i := 2; i+4 <= len(b) && b[i] == 0xff; {
		n := 2 + int(b[i+2])<<8 + int(b[i+3])
		if b[i+1] == 0xda { // SOS: the rest is data
			return append(out, b[i:]...)
		}
		if b[i+1] != 0xc4 {
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	return out
}

// digits are 3x5 dots, rows from the top, the leftmost dot highest.
var digits = [10][5]byte{
	{7, 5, 5, 5, 7}, {2, 6, 2, 2, 7}, {7, 1, 7, 4, 7}, {7, 1, 7, 1, 7}, {5, 5, 7, 1, 1},
	{7, 4, 7, 1, 7}, {7, 4, 7, 5, 7}, {7, 1, 1, 1, 1}, {7, 5, 7, 5, 7}, {7, 5, 7, 1, 7},
}

func draw(w, h, n int) []byte {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for y := range h {
		for x := range w {
			m.Y[y*m.YStride+x] = uint8(40 + 150*x/w + 3*(n*7+y)%32)
		}
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = uint8(128+20*(n%3)), uint8(148-20*(n%3))
	}
	dot := max(h/12, 1)
	for y, row := range digits[n%10] {
		for x := range 3 {
			if row>>(2-x)&1 == 1 {
				fill(m, image.Rect((x+1)*dot, (y+1)*dot, (x+2)*dot, (y+2)*dot))
			}
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 60}); err != nil {
		panic(err) // only a size beyond JPEG's could be refused, and the sizes are ours
	}
	return b.Bytes()
}

func fill(m *image.YCbCr, r image.Rectangle) {
	white := color.YCbCr{Y: 235, Cb: 128, Cr: 128}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m.Y[m.YOffset(x, y)] = white.Y
			m.Cb[m.COffset(x, y)], m.Cr[m.COffset(x, y)] = white.Cb, white.Cr
		}
	}
}

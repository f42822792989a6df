package mjpeg

import (
	"framepipe/frame"
	"framepipe/pixfmt"
)

// prepare lays out the strips for this picture.
func (d *goDecoder) prepare(out *pixfmt.Image, info *Info) {
	h := &d.h
	d.group = 1
	if h.vMax*d.size&1 == 1 {
		d.group = 2 // so that rows of halved chroma never need two strips
	}
	d.sane = true
	n := 0
	for c := range h.n {
		p := &h.comp[c]
		p.skip = c > 0 && out.Format == frame.GREY
		if (p.skip || d.scale == 8) && !p.ac.haveSeveral {
			p.ac.makeSeveral()
		}
		p.ownStride = h.mcuX * p.h * d.size
		n += p.ownStride * p.v * d.size * d.group
	}
	if cap(d.strip) < n {
		d.strip = make([]byte, n)
	}
	b := d.strip[:n]
	for c := range h.n {
		p := &h.comp[c]
		n := p.ownStride * p.v * d.size * d.group
		p.own, b = b[:n:n], b[n:]
	}
}

// target says where the blocks of MCU row y go: to the output where they fit in as
// they are, else to the strip.
func (d *goDecoder) target(out *pixfmt.Image, y int) {
	h := &d.h
	for c := range h.n {
		p := &h.comp[c]
		rows := p.v * d.size
		if d.direct(out, c, y) {
			p.stride = out.Strides[c]
			p.out, p.first = out.Planes[c], y*rows*p.stride
		} else {
			p.stride = p.ownStride
			p.out, p.first = p.own, y%d.group*rows*p.stride
		}
	}
}

func (d *goDecoder) direct(out *pixfmt.Image, c, y int) bool {
	h, p := &d.h, &d.h.comp[c]
	ow, oh := out.Width, out.Height
	switch {
	case out.Format != frame.GREY && out.Format != frame.I420 || p.skip:
		return false
	case c > 0:
		if h.hMax != 2*p.h || h.vMax != 2*p.v {
			return false
		}
		ow, oh = (ow+1)/2, (oh+1)/2
	}
	return h.mcuX*p.h*d.size == ow && (y+1)*p.v*d.size <= oh
}

// mcu decodes MCU x of the row; false when its data make no sense or are not there.
func (d *goDecoder) mcu(x int) bool {
	h := &d.h
	for c := range h.n {
		p := &h.comp[c]
		for v := range p.v {
			o := p.first + v*d.size*p.stride + x*p.h*d.size
			for range p.h {
				if p.skip {
					if !d.skip(p) {
						return false
					}
					continue
				}
				if d.scale == 8 {
					if !d.skip(p) {
						return false
					}
					p.out[o] = dcOnly(d.block[0])
					d.block[0] = 0
					o++
					continue
				}
				last, sum, ok := d.entropy(p)
				if !ok {
					return false
				}
				d.inverse(p.out[o:], p.stride, last, sum)
				o += d.size
			}
		}
	}
	if d.bits.fed > 0 && d.bits.over() {
		return false
	}
	return true
}

// inverse transforms the block, writes it to out, and clears it.
func (d *goDecoder) inverse(out []byte, stride, last int, sum uint32) {
	b := &d.block
	d.sane = d.sane && sum <= saneSum
	if last == 0 {
		fillBlock(out, stride, d.size, dcOnly(b[0]))
		b[0] = 0
		return
	}
	switch d.scale {
	case 1:
		if sum <= saneSum && haveIDCT {
			_ = out[7*stride+7]
			idctFast(b, &out[0], stride)
			return
		}
		idct8(b, out, stride)
	case 2:
		if sum <= saneSum && haveIDCT {
			_ = out[3*stride+3]
			idct4Fast(b, &out[0], stride)
			return
		}
		idct4(b, out, stride)
	case 4:
		idct2(b, out, stride, last)
	}
	clear(b[:])
}

func fillBlock(out []byte, stride, size int, v byte) {
	for r := range size {
		row := out[r*stride:]
		if size == 8 {
			row = row[:8:8]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] = v, v, v, v, v, v, v, v
			continue
		}
		row = row[:size]
		for i := range row {
			row[i] = v
		}
	}
}

// greyMCU is what stands for an MCU that is not there.
func (d *goDecoder) greyMCU(x int) {
	h := &d.h
	for c := range h.n {
		p := &h.comp[c]
		if p.skip {
			continue
		}
		for v := range p.v {
			for k := range p.h {
				fillBlock(p.out[p.first+v*d.size*p.stride+(x*p.h+k)*d.size:], p.stride, d.size, 128)
			}
		}
	}
}

// emit writes the strip that ends with MCU row y to the output.
func (d *goDecoder) emit(out *pixfmt.Image, y int) {
	h := &d.h
	if y%d.group != d.group-1 && y != h.mcuY-1 {
		return
	}
	first := y - y%d.group
	perMCU := h.vMax * d.size
	y0 := first * perMCU
	rows := min((y+1)*perMCU, out.Height) - y0
	if rows <= 0 {
		return
	}
	luma := &h.comp[0]
	switch out.Format {
	case frame.GREY, frame.I420:
		if !d.direct(out, 0, y) || d.group > 1 && !d.direct(out, 0, first) {
			for r := range rows {
				if d.direct(out, 0, first+r/perMCU) {
					continue
				}
				copy(out.Planes[0][(y0+r)*out.Strides[0]:][:out.Width], luma.own[r*luma.ownStride:])
			}
		}
		if out.Format == frame.I420 {
			d.emitChroma(out, first, y0/2, (rows+1)/2)
		}
	default:
		d.emitRGB(out, y0, rows)
	}
}

func (d *goDecoder) emitChroma(out *pixfmt.Image, first, cy0, rows int) {
	h := &d.h
	cw := (out.Width + 1) / 2
	for c := 1; c < 3; c++ {
		plane, stride := out.Planes[c], out.Strides[c]
		if h.n == 1 {
			for r := range rows {
				fillRow(plane[(cy0+r)*stride:][:cw], 128)
			}
			continue
		}
		p := &h.comp[c]
		hr, vr := h.hMax/p.h, h.vMax/p.v
		perMCU := p.v * d.size
		for r := range rows {
			row := plane[(cy0+r)*stride:][:cw]
			if hr == 2 && vr == 2 {
				if !d.direct(out, c, first+r/perMCU) {
					copy(row, p.own[r*p.ownStride:])
				}
				continue
			}
			// The samples of two rows and two columns; the last ones may stand for two.
			lr0, lr1 := 2*r, min(2*r+1, out.Height-1-2*cy0)
			a, b := p.own[lr0/vr*p.ownStride:][:p.ownStride], p.own[lr1/vr*p.ownStride:][:p.ownStride]
			switch {
			case hr == 2:
				for x := range row {
					row[x] = byte((uint(a[x]) + uint(b[x]) + 1) >> 1)
				}
			default:
				for x := range row {
					x0, x1 := 2*x/hr, min(2*x+1, out.Width-1)/hr
					row[x] = byte((uint(a[x0]) + uint(a[x1]) + uint(b[x0]) + uint(b[x1]) + 2) >> 2)
				}
			}
		}
	}
}

func fillRow(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func (d *goDecoder) emitRGB(out *pixfmt.Image, y0, rows int) {
	h := &d.h
	luma := &h.comp[0]
	w := out.Width
	for r := range rows {
		dst := out.Planes[0][(y0+r)*out.Strides[0]:][:3*w]
		yy := luma.own[r*luma.ownStride:][:w]
		if h.n == 1 {
			pixfmt.GreyRowToRGB(dst, yy)
			continue
		}
		var chroma [2][]byte
		full := false
		for i := range chroma {
			p := &h.comp[1+i]
			hr, vr := h.hMax/p.h, h.vMax/p.v
			src := p.own[r/vr*p.ownStride:][:p.ownStride]
			switch hr {
			case 1:
				chroma[i], full = src[:w], true
			case 2:
				chroma[i] = src[:(w+1)/2]
			default:
				chroma[i] = d.spreadRow(i, src, hr, w)
				full = true
			}
		}
		if full != (len(chroma[0]) == w) || len(chroma[0]) != len(chroma[1]) { // sampled differently: nobody does that
			for i := range chroma {
				p := &h.comp[1+i]
				chroma[i] = d.spreadRow(i, p.own[r/(h.vMax/p.v)*p.ownStride:], h.hMax/p.h, w)
			}
			full = true
		}
		pixfmt.RowToRGB(out.Format, dst, yy, chroma[0], chroma[1], full)
	}
}

// spreadRow repeats each sample.
func (d *goDecoder) spreadRow(i int, src []byte, hr, w int) []byte {
	if cap(d.spread[i]) < w {
		d.spread[i] = make([]byte, w)
	}
	row := d.spread[i][:w]
	for x := range row {
		row[x] = src[x/hr]
	}
	return row
}

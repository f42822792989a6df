package pattern

import (
	"image/color"
	"math"

	"framepipe/capture/pattern/timecode"
	"framepipe/frame"
)

func rgb(r, g, b byte) colour {
	y, u, v := color.RGBToYCbCr(r, g, b)
	return colour{y, u, v, r, g, b}
}

var (
	white  = rgb(240, 240, 240)
	ink    = rgb(24, 26, 34)
	orange = rgb(250, 160, 40)
	red    = rgb(225, 60, 60)
	face   = rgb(228, 224, 214)
	tick   = rgb(120, 118, 112)

	codeWhite = colour{timecode.White, 128, 128, timecode.White, timecode.White, timecode.White}
	codeBlack = colour{timecode.Black, 128, 128, timecode.Black, timecode.Black, timecode.Black}
)

// artist draws frames: what does not move once, what moves for each.
type artist struct {
	w, h   int
	scene  int // rows above the code
	format frame.FourCC
	bg     *canvas
	noise  int // 0..100
	grain  *grain
}

func newArtist(f frame.FourCC, w, h, noise int) *artist {
	a := &artist{w: w, h: h, format: f, scene: h}
	if timecode.Fits(w, h) {
		a.scene = timecode.FirstRow * h / timecode.GridRows
	}
	a.setNoise(noise)
	a.bg = newCanvas(f, w, h)
	a.background()
	return a
}

func (a *artist) setNoise(n int) {
	a.noise = n
	if n > 0 {
		a.grain = newGrain(n)
	}
}

func (a *artist) background() {
	c, w, s := a.bg, a.w, a.scene
	c.rect(rect{0, 0, w, a.h}, ink)
	for y := range s { // evening sky
		f := float64(y) / float64(max(s-1, 1))
		for x := 0; x < w; x += 2 {
			g := 0.8 + 0.2*math.Cos(3*float64(x)/float64(w))
			c.span(y, x, x+2, rgb(byte(g*(30+90*f)), byte(g*(60+80*f)), byte(g*(120+50*f))))
		}
	}
	bars := [...]colour{rgb(191, 191, 191), rgb(191, 191, 0), rgb(0, 191, 191), rgb(0, 191, 0), rgb(191, 0, 191), rgb(191, 0, 0), rgb(0, 0, 191)}
	for i, k := range bars {
		c.rect(rect{i * w / len(bars), s * 9 / 10, (i + 1) * w / len(bars), s}, k)
	}
	for i := 1; i < 10; i++ { // scale on which a person sees the speed of what passes
		x := i * w / 10
		c.rect(rect{x, s * 85 / 100, x + max(1, w/320), s * 9 / 10}, white)
	}
	cx, cy, r := a.dial()
	c.disc(cx, cy, r, face)
	for i := range 12 {
		sin, cos := math.Sincos(float64(i) * math.Pi / 6)
		c.disc(cx+int(0.88*float64(r)*sin), cy-int(0.88*float64(r)*cos), max(1, r/20), tick)
	}
}

// dial is where the clock is.
func (a *artist) dial() (cx, cy, r int) {
	r = min(a.w, a.scene) * 3 / 10
	return a.w / 4, a.scene * 4 / 10, r
}

// draw makes the frame that is seen at this moment of the scene (in seconds). It
// depends on its arguments alone.
func (a *artist) draw(c *canvas, number uint64, scene float64, t frame.SenderTime) {
	c.restore(a.bg, a.noise > 0)
	cx, cy, r := a.dial()

	// The clock's hand goes round once in two seconds.
	sin, cos := math.Sincos(scene * math.Pi)
	hx, hy := cx+int(0.8*float64(r)*sin), cy-int(0.8*float64(r)*cos)
	th := max(1, r/16)
	c.touch(rect{min(cx, hx) - 2*th, min(cy, hy) - 2*th, max(cx, hx) + 2*th + 1, max(cy, hy) + 2*th + 1})
	c.line(cx, cy, hx, hy, th, red)
	c.disc(cx, cy, 2*th, ink)

	// A ball bounces, and a bar passes at constant speed.
	br := max(1, a.scene/12)
	bx := a.w/2 + br + int(float64(max(a.w/2-3*br, 0))*triangle(scene/3))
	by := a.scene*8/10 - br - int(float64(a.scene)*0.32*math.Abs(math.Sin(scene*math.Pi*0.9)))
	c.touch(rect{bx - br, by - br, bx + br + 1, by + br + 1})
	c.disc(bx, by, br, orange)
	pos := int(math.Mod(scene/4, 1) * float64(a.w))
	bar := rect{pos, a.scene * 85 / 100, pos + max(2, a.w/64), a.scene * 9 / 10}
	c.touch(bar)
	c.rect(bar, orange)

	a.number(c, number)
	if a.scene < a.h {
		code := timecode.Encode(number, t)
		for i, on := range code {
			x0, y0, x1, y1 := timecode.Block(i, a.w, a.h)
			k := codeBlack
			if on {
				k = codeWhite
			}
			c.rect(rect{x0, y0, x1, y1}, k)
		}
	}
	if a.noise > 0 {
		a.grain.apply(c, number)
	}
}

// triangle swings between 0 and 1 with period 1.
func triangle(t float64) float64 { return 1 - math.Abs(2*math.Mod(t, 1)-1) }

// segments of the digits 0..9: bit 0 is the top, then clockwise, bit 6 the middle.
var segments = [10]byte{0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f}

// number writes the last six digits of the frame number for people.
func (a *artist) number(c *canvas, n uint64) {
	dw, dh := a.w/2/8, a.scene/6
	th := max(1, dw/6)
	if dw < 4 || dh < 7 {
		return
	}
	x0, y0 := a.w/2+dw/2, a.scene/12
	c.touch(rect{x0, y0, x0 + 7*dw, y0 + dh})
	for i := 5; i >= 0; i-- {
		x, d := x0+i*dw*7/6, segments[n%10]
		n /= 10
		x1, y1, ym := x+dw-th, y0+dh, y0+dh/2
		for s, r := range [7]rect{
			{x, y0, x1, y0 + th}, {x1 - th, y0, x1, ym}, {x1 - th, ym, x1, y1}, {x, y1 - th, x1, y1},
			{x, ym, x + th, y1}, {x, y0, x + th, ym}, {x, ym - th/2, x1, ym - th/2 + th},
		} {
			if d>>s&1 != 0 {
				c.rect(r, white)
			}
		}
	}
}

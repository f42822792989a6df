package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"framepipe/frame"
	"framepipe/pixfmt"
	"framepipe/test/sheet"
)

// scene is a picture of shapes with hard edges, texture, smooth shades and some noise.
func scene(format frame.FourCC, w, h int) (*frame.Frame, error) {
	rng := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	src, err := pixfmt.View(frame.I420, w, h, 0, make([]byte, pixfmt.Size(frame.I420, w, h, 0)))
	if err != nil {
		return nil, err
	}
	for i, p := range src.Planes {
		unit := min(i+1, 2)
		for k := range p {
			x, y := k%src.Strides[i]*unit, k/src.Strides[i]*unit
			v := 60 + 20*i + (x*40/w+y*50/h)/(1+i)
			if (x/37+y/29)%5 == 0 {
				v += 70 - 40*i
			}
			if (x-w/3)*(x-w/3)+(y-h/2)*(y-h/2) < w*h/20 {
				v += 30 + (x/3*7^y/2*3)&15/(1+i)
			}
			if y > h*7/8 {
				v += (x / 2 * y / 64) & 31 / (1 + i)
			}
			p[k] = byte(min(max(v+rng.IntN(4)/(1+i)-2, 0), 255))
		}
	}
	f := frame.New(make([]byte, pixfmt.Size(format, w, h, 0)), nil)
	f.Format, f.Width, f.Height, f.Stride = format, w, h, pixfmt.Stride(format, w)
	dst, err := pixfmt.FrameView(f)
	if err != nil {
		return nil, err
	}
	return f, pixfmt.Convert(&dst, &src)
}

func (r *row) median() time.Duration { return r.got[len(r.got)/2] }

// table gives all rows, each beside the first of its work.
func (b *bench) table() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s. JPEG quality %d, 4:2:0. Medians of %d interleaved rounds; processor time per frame in milliseconds where nothing else is said.\n\n",
		sheet.Machine(), quality, len(b.rows[0].got))
	s.WriteString("| work | by | ms | smallest … largest | beside the first | |\n|---|---|---:|---|---:|---|\n")
	first := map[string]time.Duration{}
	for _, r := range b.inOrder() {
		if first[r.work] == 0 {
			first[r.work] = r.median()
		}
		ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
		fmt.Fprintf(&s, "| %s | %s | %.2f | %.2f … %.2f | %.2f | %s |\n", r.work, r.by, ms(r.median()), ms(r.got[0]), ms(r.got[len(r.got)-1]),
			float64(r.median())/float64(first[r.work]), r.note)
	}
	for _, m := range b.missing {
		fmt.Fprintf(&s, "\nNot measured: %s.\n", m)
	}
	return s.String()
}

// inOrder brings the rows of the same work together.
func (b *bench) inOrder() []*row {
	var out []*row
	done := map[string]bool{}
	for _, r := range b.rows {
		if done[r.work] {
			continue
		}
		done[r.work] = true
		for _, o := range b.rows {
			if o.work == r.work {
				out = append(out, o)
			}
		}
	}
	return out
}

// bars has one for each row.
func (b *bench) bars() []sheet.Bar {
	var out []sheet.Bar
	for _, r := range b.inOrder() {
		out = append(out, sheet.Bar{Label: r.work + ": " + r.by, Value: r.median().Seconds() * 1e3})
	}
	return out
}

package transform

import (
	"errors"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

// run goes through the steps of p. Each writes to scratch memory, but the last
// raw one to a frame of the pool, unless a JPEG is made of it.
func (s *Stage) run(f *frame.Frame, p *plan) (out *frame.Frame, err error) {
	defer func() {
		if err != nil && out != nil {
			out.Release()
			out = nil
		}
	}()
	left := 0 // steps that give a raw picture
	for _, b := range []bool{p.decode != 0, p.first != 0, p.scaleW != 0, p.orient, p.final, p.tighten} {
		if b {
			left++
		}
	}
	steps := left
	// dest is where the next step has to write to.
	dest := func(format frame.FourCC, w, h int) (m pixfmt.Image, err error) {
		n := pixfmt.Size(format, w, h, 0)
		if n == 0 {
			return m, errNoPicture
		}
		left--
		if left == 0 && !p.encode {
			out = s.pool.Get(n)
			out.Format, out.Width, out.Height, out.Stride = format, w, h, pixfmt.Stride(format, w)
			return pixfmt.View(format, w, h, 0, out.Data)
		}
		s.turn = 1 - s.turn
		if cap(s.scratch[s.turn]) < n {
			s.scratch[s.turn] = make([]byte, n)
		}
		s.scratch[s.turn] = s.scratch[s.turn][:n]
		return pixfmt.View(format, w, h, 0, s.scratch[s.turn])
	}

	var cur, next pixfmt.Image
	if p.decode != 0 {
		left--
		if cur, out, err = s.decode(f, p, left == 0 && !p.encode); err != nil {
			return
		}
	} else if cur, err = pixfmt.FrameView(f); err != nil {
		return
	}
	if p.first != 0 {
		if next, err = dest(p.first, cur.Width, cur.Height); err != nil {
			return
		}
		if err = pixfmt.Convert(&next, &cur); err != nil {
			return
		}
		cur = next
	}
	if p.scaleW != 0 {
		if next, err = dest(cur.Format, p.scaleW, p.scaleH); err != nil {
			return
		}
		if err = s.scaler.Scale(&next, &cur); err != nil {
			return
		}
		cur = next
	}
	if p.orient {
		w, h := pixfmt.Oriented(cur.Width, cur.Height, s.cfg.Rotate)
		if next, err = dest(cur.Format, w, h); err != nil {
			return
		}
		if err = pixfmt.Orient(&next, &cur, s.cfg.Rotate, s.cfg.FlipH, s.cfg.FlipV); err != nil {
			return
		}
		cur = next
	}
	if p.final || p.tighten {
		if next, err = dest(s.cfg.Format, cur.Width, cur.Height); err != nil {
			return
		}
		if err = pixfmt.Convert(&next, &cur); err != nil {
			return
		}
		cur = next
	}
	if !p.encode {
		return
	}
	raw := f
	if steps > 0 {
		raw = &s.raw
		raw.Format, raw.Width, raw.Height, raw.Stride = cur.Format, cur.Width, cur.Height, cur.Strides[0]
		raw.Data = s.scratch[s.turn]
	}
	return s.encode(raw)
}

// decode gives the picture of a JPEG, whose size was found to be within the
// limits; in a frame of the pool if this is the last step.
func (s *Stage) decode(f *frame.Frame, p *plan, last bool) (m pixfmt.Image, out *frame.Frame, err error) {
	dst := s.scratch[s.turn]
	if last {
		out = s.pool.Get(pixfmt.Size(p.decode, mjpeg.Scaled(p.w, p.shrink), mjpeg.Scaled(p.h, p.shrink), 0))
		dst = out.Data
	}
	b, w, h, err := s.dec.DecodeScaled(dst, f.Data, p.decode, p.shrink)
	if err != nil {
		if !errors.As(err, new(*mjpeg.DamagedError)) {
			return m, out, err
		}
		s.damaged.Add(1) // what there is of it is shown, as where pictures pass through
	}
	if last {
		out.Data, out.Format, out.Width, out.Height, out.Stride = b, p.decode, w, h, pixfmt.Stride(p.decode, w)
	} else {
		s.scratch[s.turn] = b
	}
	m, err = pixfmt.View(p.decode, w, h, 0, b)
	return m, out, err
}

func (s *Stage) encode(raw *frame.Frame) (*frame.Frame, error) {
	out := s.pool.Get(s.guess)
	b, err := s.enc.Encode(out.Data[:0], raw, s.lastQ)
	if err != nil {
		return out, err
	}
	s.guess = max(len(b), s.guess-s.guess/64)
	out.Data, out.Format, out.Width, out.Height, out.Stride = b, frame.JPEG, raw.Width, raw.Height, 0
	return out, nil
}

// Package transform is what happens to a frame between the camera and the send
// slot: nothing, as often as possible; else repairing, decoding, scaling, turning,
// converting and encoding, in this order.
//
// It neither talks to cameras nor decides about quality; it runs on the capture
// goroutine, one Stage per camera.
//
// # Memory
//
// Do takes over the reference that it is given. It returns the same frame when
// nothing had to be done, else one of the stage's own pool. Steps in between use
// buffers that the stage keeps, so that a steady stream allocates nothing. A raw frame that comes out always has the smallest stride.
package transform

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

// Config is what frames have to become.
type Config struct {
	Format        frame.FourCC // 0 = JPEG
	Quality       int          // of encoded JPEGs, 1..100; 0 = 85
	Width, Height int          // scale pictures that are larger down to this; 0 = keep their size
	Rotate        int          // 0, 90, 180 or 270 degrees clockwise, after scaling
	FlipH, FlipV  bool         // mirror, after rotating
	Reencode      bool         // decode JPEGs and encode them anew, to change their quality
	Limits        mjpeg.Limits // for pictures that have to be decoded
}

// Stage does it. Do is called by one goroutine at a time, the others by any.
type Stage struct {
	cfg     Config
	quality atomic.Int32
	desc    atomic.Pointer[string]
	dht     atomic.Int64
	eoi     atomic.Int64
	trail   atomic.Int64
	damaged atomic.Int64
	cost    atomic.Int64 // ns, smoothed

	pool    frame.Pool
	enc     mjpeg.Encoder
	dec     mjpeg.Decoder
	scaler  pixfmt.Scaler
	scratch [2][]byte // a step reads one and writes the other
	turn    int       // which is written next
	last    plan      // what desc describes
	lastQ   int
	guess   int         // size of the next JPEG
	raw     frame.Frame // wraps scratch for the encoder
}

// New checks cfg.
func New(cfg Config) (*Stage, error) {
	if cfg.Format == 0 {
		cfg.Format = frame.JPEG
	}
	if cfg.Quality == 0 {
		cfg.Quality = 85
	}
	if cfg.Format != frame.JPEG && pixfmt.Stride(cfg.Format, 2) == 0 {
		return nil, fmt.Errorf("unknown frame format %s", cfg.Format)
	}
	if cfg.Quality < 1 || cfg.Quality > 100 {
		return nil, fmt.Errorf("JPEG quality %d: must be 1..100", cfg.Quality)
	}
	if cfg.Width < 0 || cfg.Height < 0 || cfg.Width > pixfmt.MaxDim || cfg.Height > pixfmt.MaxDim {
		return nil, fmt.Errorf("picture size %dx%d: must be 1..%d each, or 0 for the camera's", cfg.Width, cfg.Height, pixfmt.MaxDim)
	}
	switch cfg.Rotate {
	case 0, 90, 180, 270:
	default:
		return nil, fmt.Errorf("rotation by %d degrees: must be 0, 90, 180 or 270", cfg.Rotate)
	}
	s := &Stage{cfg: cfg, enc: mjpeg.NewEncoder(), dec: mjpeg.NewDecoder(cfg.Limits)}
	s.quality.Store(int32(cfg.Quality))
	idle := "waiting for the first frame"
	s.desc.Store(&idle)
	return s, nil
}

// SetQuality changes the quality of JPEGs encoded from now on (1..100; what lies
// outside is moved to the nearest end). It cannot change pictures that the camera
// has compressed itself.
func (s *Stage) SetQuality(q int) { s.quality.Store(int32(min(max(q, 1), 100))) }

// Quality is what SetQuality set.
func (s *Stage) Quality() int { return int(s.quality.Load()) }

// Repaired counts what was mended in the camera's JPEGs since the stage was made.
func (s *Stage) Repaired() mjpeg.Repairs {
	return mjpeg.Repairs{DHT: int(s.dht.Load()), EOI: int(s.eoi.Load()), Trailing: int(s.trail.Load()), Damaged: int(s.damaged.Load())}
}

// Describe says what was done to the last frame: "pass-through", or the steps.
// With steps it tells how long they take for a frame.
func (s *Stage) Describe() string {
	text := *s.desc.Load()
	if c := s.Cost(); c > 0 {
		text += fmt.Sprintf(" (%.2f ms per frame)", c.Seconds()*1e3)
	}
	return text
}

// Cost is how long the steps take for a frame, of late; 0 if there are none.
func (s *Stage) Cost() time.Duration { return time.Duration(s.cost.Load()) }

// plan is what one frame needs.
type plan struct {
	from                   frame.FourCC
	w, h                   int          // of the picture as it came
	decode                 frame.FourCC // decode the JPEG to this; 0 = no
	shrink                 int          // at 1/shrink of its size, which is faster than scaling afterwards
	first                  frame.FourCC // convert to this, because from cannot be scaled or turned; 0 = no
	scaleW, scaleH         int          // 0 = no
	orient, final, tighten bool
	encode                 bool
}

func (p *plan) nothing() bool {
	return p.decode == 0 && p.first == 0 && p.scaleW == 0 && !p.orient && !p.final && !p.tighten && !p.encode
}

func (s *Stage) plan(f frame.FourCC, w, h int) plan {
	c := &s.cfg
	p := plan{from: f, w: w, h: h, orient: c.Rotate != 0 || c.FlipH || c.FlipV}
	tw, th := w, h
	if c.Width > 0 && c.Width < w {
		tw = c.Width
	}
	if c.Height > 0 && c.Height < h {
		th = c.Height
	}
	if tw != w || th != h {
		p.scaleW, p.scaleH = tw, th
	}
	change := p.orient || p.scaleW != 0 || c.Reencode && f == frame.JPEG
	have := f
	if f == frame.JPEG {
		if c.Format == frame.JPEG && !change {
			return p
		}
		switch c.Format {
		case frame.RGB24, frame.BGR24, frame.GREY:
			have = c.Format
		default:
			have = frame.I420
		}
		p.decode, p.shrink = have, 1
		for s := 2; s <= 8 && p.scaleW != 0; s *= 2 {
			if sw, sh := mjpeg.Scaled(w, s), mjpeg.Scaled(h, s); sw < tw || sh < th {
				break
			} else if p.shrink = s; sw == tw && sh == th {
				p.scaleW, p.scaleH = 0, 0
			}
		}
	} else if change && c.Format == frame.GREY && have != frame.GREY {
		p.first, have = frame.GREY, frame.GREY
	} else if change && (have == frame.YUYV || have == frame.UYVY) ||
		c.Format != frame.JPEG && c.Format != have && !pixfmt.Convertible(c.Format, have) {
		p.first, have = frame.I420, frame.I420
	}
	if c.Format == frame.JPEG {
		p.encode = true
	} else {
		p.final = have != c.Format
	}
	return p
}

// Do makes of f what the configuration asks for. When it fails, f has been
// released, and the frame counts as corrupt.
func (s *Stage) Do(f *frame.Frame) (*frame.Frame, error) {
	var info mjpeg.Info
	var rep mjpeg.Repairs
	var err error
	w, h := f.Width, f.Height
	if f.Format == frame.JPEG {
		if info, rep, err = mjpeg.Check(f.Data); err != nil {
			f.Release()
			return nil, err
		}
		w, h = info.Width, info.Height
	}
	p := s.plan(f.Format, w, h)
	if f.Format != frame.JPEG && p.nothing() {
		p.tighten = f.Stride != 0 && f.Stride != pixfmt.Stride(f.Format, w)
	}
	if q := s.Quality(); p != s.last || q != s.lastQ {
		s.last, s.lastQ = p, q
		s.cost.Store(0)
		d := s.describe(&p, q)
		s.desc.Store(&d)
	}
	if p.decode != 0 {
		if err := s.cfg.Limits.Check(&info, len(f.Data)); err != nil {
			f.Release()
			return nil, err
		}
		if pixfmt.Size(p.decode, w, h, 0) == 0 {
			f.Release()
			return nil, fmt.Errorf("%w: %dx%d as %s", mjpeg.ErrLimit, w, h, p.decode)
		}
	}
	if rep.Any() {
		s.dht.Add(int64(rep.DHT))
		s.eoi.Add(int64(rep.EOI))
		s.trail.Add(int64(rep.Trailing))
		f = s.repair(f, info, rep)
	}
	if p.nothing() {
		f.Width, f.Height, f.Encoded = w, h, f.Dequeued
		if f.Format == frame.JPEG {
			f.Stride = 0
			return f, nil
		}
		n := pixfmt.Size(f.Format, w, h, 0)
		if n == 0 || len(f.Data) < n {
			err := fmt.Errorf("%s frame of %dx%d has %d bytes, needs %d", f.Format, w, h, len(f.Data), n)
			f.Release()
			return nil, err
		}
		f.Data, f.Stride = f.Data[:n], pixfmt.Stride(f.Format, w)
		return f, nil
	}
	began := frame.SenderNow()
	out, err := s.run(f, &p)
	if err == nil {
		data, format, w, h, stride := out.Data, out.Format, out.Width, out.Height, out.Stride
		out.Meta = f.Meta
		out.Data, out.Format, out.Width, out.Height, out.Stride = data, format, w, h, stride
		out.Encoded = frame.SenderNow()
		took := int64(out.Encoded.Sub(began))
		if have := s.cost.Load(); have > 0 {
			took = have + (took-have)/16
		}
		s.cost.Store(took)
	}
	f.Release()
	return out, err
}

// repair never writes to f's memory, which a driver or a loaded file may own.
func (s *Stage) repair(f *frame.Frame, info mjpeg.Info, r mjpeg.Repairs) *frame.Frame {
	if r.DHT == 0 && r.EOI == 0 {
		f.Data = f.Data[:len(f.Data)-r.Trailing]
		return f
	}
	out := s.pool.Get(mjpeg.RepairedSize(len(f.Data), r))
	data := mjpeg.AppendRepaired(out.Data[:0], f.Data, info, r)
	out.Meta = f.Meta
	out.Data = data
	f.Release()
	return out
}

func (s *Stage) describe(p *plan, q int) string {
	if p.nothing() {
		return "pass-through"
	}
	var steps []string
	add := func(format string, a ...any) { steps = append(steps, fmt.Sprintf(format, a...)) }
	c := &s.cfg
	if p.decode != 0 {
		size := ""
		if p.shrink > 1 {
			size = fmt.Sprintf("at 1/%d ", p.shrink)
		}
		add("decode %sto %s by %s", size, p.decode.Word(), s.dec.Name())
	}
	if p.first != 0 {
		add("%s to %s", p.from.Word(), p.first.Word())
	}
	if p.scaleW != 0 {
		add("scale to %dx%d", p.scaleW, p.scaleH)
	}
	if c.Rotate != 0 {
		add("rotate %d", c.Rotate)
	}
	if c.FlipH {
		add("flip horizontally")
	}
	if c.FlipV {
		add("flip vertically")
	}
	if p.final {
		add("convert to %s", c.Format.Word())
	}
	if p.tighten {
		add("remove row padding")
	}
	if p.encode {
		add("%s to jpeg q%d by %s", p.from.Word(), q, s.enc.Name())
	}
	return strings.Join(steps, ", ")
}

var errNoPicture = errors.New("frame has no size")

package mjpeg

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg/internal/turbojpeg"
	"framepipe/pixfmt"
)

// Choice says which codec the program uses, and why.
type Choice struct {
	Encoder, Decoder string // names, as Encoder.Name and Decoder.Name give them
	Why              string
	turbo            bool
}

var chosen struct {
	sync.Mutex
	done   bool
	choice Choice
}

// Choose sets which codec NewEncoder and NewDecoder give from now on: "go", "turbo"
// (an error if libjpeg-turbo is not there or does not pass its test; nothing is
// changed then), or "" for the better one. The program calls it once, at its start.
func Choose(name string) (Choice, error) {
	c, err := choose(name)
	if err != nil {
		return c, err
	}
	chosen.Lock()
	defer chosen.Unlock()
	chosen.done, chosen.choice = true, c
	return c, nil
}

// Chosen is what NewEncoder and NewDecoder give.
func Chosen() Choice {
	chosen.Lock()
	defer chosen.Unlock()
	if !chosen.done {
		chosen.choice, _ = choose("") // cannot fail
		chosen.done = true
	}
	return chosen.choice
}

func choose(name string) (Choice, error) {
	own := newGoEncoder().Name()
	c := Choice{Encoder: own, Decoder: (&goDecoder{}).Name()}
	turbo := Choice{Encoder: "libjpeg-turbo", Decoder: "libjpeg-turbo", turbo: true}
	switch name {
	case "go":
		c.Why = "asked for"
		return c, nil
	case "turbo":
		lib, err := turboWorks()
		if err != nil {
			return c, fmt.Errorf("libjpeg-turbo cannot be used: %w", err)
		}
		turbo.Why = "asked for; " + lib
		return turbo, nil
	case "":
	default:
		return c, fmt.Errorf("unknown JPEG codec %q: use go or turbo", name)
	}
	if kernelName != "" {
		c.Why = "with vector instructions it is faster than libjpeg-turbo, which is not looked for"
		return c, nil
	}
	lib, err := turboWorks()
	if err != nil {
		c.Why = "libjpeg-turbo cannot be used: " + err.Error()
		return c, nil
	}
	turbo.Why = "there are no vector instructions for our own; " + lib
	return turbo, nil
}

var turboWorks = sync.OnceValues(func() (string, error) {
	lib, err := turbojpeg.Open()
	if err != nil {
		return "", err
	}
	return lib + " found and tested", selfTest()
})

// selfTest lets the library encode and decode a small picture, both of which must be
// near to what our own codec makes of it.
func selfTest() error {
	const w, h = 32, 32
	f := frame.New(make([]byte, pixfmt.Size(frame.I420, w, h, 0)), nil)
	f.Format, f.Width, f.Height, f.Stride = frame.I420, w, h, w
	for i := range f.Data {
		f.Data[i] = byte(60 + i%w*3 + i/w)
	}
	enc, err := newTurboEncoder()
	if err != nil {
		return err
	}
	dec, err := newTurboDecoder(Limits{})
	if err != nil {
		return err
	}
	b, err := enc.Encode(nil, f, 90)
	if err != nil {
		return err
	}
	theirs, _, _, err := dec.Decode(nil, b, frame.I420)
	if err != nil {
		return err
	}
	ours, _, _, err := dec.plain.Decode(nil, b, frame.I420)
	if err != nil {
		return fmt.Errorf("it makes pictures that cannot be read: %w", err)
	}
	for i, v := range f.Data {
		if d := int(theirs[i]) - int(ours[i]); d < -2 || d > 2 {
			return fmt.Errorf("it fails its test: decodes sample %d to %d, ours to %d", i, theirs[i], ours[i])
		}
		if d := int(v) - int(ours[i]); d < -24 || d > 24 {
			return fmt.Errorf("it fails its test: encodes %d as %d", v, ours[i])
		}
	}
	return nil
}

// NewEncoder returns an encoder of the chosen codec.
func NewEncoder() Encoder {
	if Chosen().turbo {
		if e, err := newTurboEncoder(); err == nil {
			return e
		}
	}
	return newGoEncoder()
}

// NewEncoderWith returns our own encoder with options, which the other has not.
func NewEncoderWith(o EncoderOptions) Encoder { return newGoEncoderWith(o) }

// NewDecoder returns a decoder of the chosen codec. Pictures beyond the limits are
// refused by their header, before any memory is taken for them.
func NewDecoder(l Limits) Decoder {
	if Chosen().turbo {
		if d, err := newTurboDecoder(l); err == nil {
			return d
		}
	}
	return newGoDecoder(l)
}

// Measure encodes and decodes synthetic pictures of this size with the chosen codec
// for about the time given, and returns the median of each.
func Measure(width, height, quality int, atMost time.Duration) (encode, decode time.Duration, err error) {
	n := pixfmt.Size(frame.YUYV, width, height, 0)
	if n == 0 {
		return 0, 0, fmt.Errorf("measuring the JPEG codec: %w: %dx%d", pixfmt.ErrSize, width, height)
	}
	f := frame.New(make([]byte, n), nil)
	f.Format, f.Width, f.Height, f.Stride = frame.YUYV, width, height, pixfmt.Stride(frame.YUYV, width)
	for i := range f.Data {
		x, y := i%f.Stride/2, i/f.Stride
		f.Data[i] = byte(96 + (x/24+y/24)&3*24 + (x*y/64)&15)
	}
	enc, dec := NewEncoder(), NewDecoder(Limits{})
	var jpg, rgb []byte
	var es, ds []time.Duration
	for end := time.Now().Add(atMost); len(es) == 0 || time.Now().Before(end); {
		t0 := time.Now()
		if jpg, err = enc.Encode(jpg, f, quality); err != nil {
			return 0, 0, err
		}
		t1 := time.Now()
		if rgb, _, _, err = dec.Decode(rgb, jpg, frame.RGB24); err != nil {
			return 0, 0, err
		}
		es, ds = append(es, t1.Sub(t0)), append(ds, time.Since(t1))
	}
	slices.Sort(es)
	slices.Sort(ds)
	return es[len(es)/2], ds[len(ds)/2], nil
}

// Package replay is a camera that plays a recording: an MJPEG stream file, an AVI
// or Matroska file with MJPEG (framepipe's own recordings are that), or a folder of
// pictures.
//
// It does not decode video and does not record. It has no still port.
//
// # Timing
//
// Frames come at the recording's times: those of the file, or cfg.FPS (else 30)
// where there are none (stream files, folders). In sequence mode Next returns the
// newest frame that is due, and the ones passed over count as encoder_busy. In
// continuous mode it returns the next one, at the earliest when its time since the
// last one has passed; nothing is passed over. Options behind the path: rate=max
// gives every frame at once, in both modes; rate=2 (or 2x) plays twice as fast;
// loop=1 begins again at the end, and without it the end is io.EOF.
//
// Captured is the frame's recorded time, counted from the first Next; with rate=max
// it is when the frame was handed over.
//
// # Memory
//
// Recordings up to 256 MiB are read into memory when they are opened, and frames are
// lent from there: no copy and no allocation. Of larger ones only the index is kept.
package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"framepipe/capture"
	"framepipe/capture/internal/alarm"
	"framepipe/frame"
	"framepipe/mjpeg"
)

const defaultFPS = 30

type options struct {
	speed float64 // 0 = unpaced
	loop  bool
}

type camera struct {
	cfg   capture.Config
	opt   options
	info  capture.Info
	reel  reel
	timer *alarm.Timer

	started bool
	start   time.Time     // when the recording's time 0 was, or would have been
	round   time.Duration // recording time at the beginning of this round
	last    time.Duration // recording time of the last frame returned
	given   time.Time     // when that was

	seq  uint64
	lost [frame.SenderCauses]uint64
	bad  int // unreadable frames in a row
	err  error
}

// Open opens a spec such as "replay:walk.avi?rate=max&loop=1".
func Open(ctx context.Context, spec string, cfg capture.Config) (capture.Camera, error) {
	return openWithin(spec, cfg, preload)
}

func openWithin(spec string, cfg capture.Config, limit int64) (capture.Camera, error) {
	path, opt, err := parseSpec(spec)
	if err != nil {
		return nil, &capture.Error{Op: "open " + spec, Err: err, Hint: "replay:PATH, with ?rate=max, ?rate=2x or ?loop=1 behind it", Config: true}
	}
	switch {
	case cfg.Port == capture.Still:
		err = errors.New("a recording has no still port")
	case len(cfg.Controls) > 0:
		err = errors.New("a recording has no camera controls")
	case !(cfg.FPS >= 0 && cfg.FPS <= 100_000):
		err = fmt.Errorf("%g frames per second", cfg.FPS)
	}
	if err != nil {
		return nil, &capture.Error{Op: "open " + spec, Err: err, Config: true}
	}
	c := &camera{cfg: cfg, opt: opt, info: capture.Info{
		Source: spec, Name: path, Mode: cfg.Mode.String(), Port: cfg.Port.String(), StampKind: frame.StampTick.String(), Format: frame.JPEG.Word(),
	}}
	if err := c.load(path, limit); err != nil {
		e := &capture.Error{Op: "open " + spec, Err: err, Config: true, Hint: "it has to be an MJPEG stream file, an AVI or MKV file with MJPEG, or a folder of .jpg or .png pictures"}
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			e.Hint = "is the path right, and readable?"
		}
		return nil, e
	}
	if err := c.lookAtFirst(); err != nil {
		c.reel.Close()
		return nil, &capture.Error{Op: "open " + spec, Err: err, Config: true}
	}
	c.timer = alarm.New()
	return c, nil
}

// parseSpec cuts options off the path, unless a file is called that.
func parseSpec(spec string) (path string, o options, err error) {
	o.speed = 1
	path, ok := strings.CutPrefix(spec, "replay:")
	if !ok || path == "" {
		return "", o, errors.New("no path given")
	}
	k := strings.LastIndexByte(path, '?')
	if k < 0 {
		return path, o, nil
	}
	if _, err := os.Stat(path); err == nil {
		return path, o, nil
	}
	q, err := url.ParseQuery(path[k+1:])
	if err != nil {
		return "", o, err
	}
	for name, v := range q {
		s := v[len(v)-1]
		switch name {
		case "rate":
			if s == "max" {
				o.speed = 0
				break
			}
			o.speed, err = strconv.ParseFloat(strings.TrimSuffix(s, "x"), 64)
			if err == nil && !(o.speed >= 0.001 && o.speed <= 1000) {
				err = errors.New("must be max, or 0.001 to 1000 times")
			}
		case "loop":
			o.loop, err = strconv.ParseBool(s)
		default:
			err = errors.New("unknown option")
		}
		if err != nil {
			return "", o, fmt.Errorf("%s=%s: %w", name, s, err)
		}
	}
	return path[:k], o, nil
}

// load finds out what the recording is and opens it.
func (c *camera) load(path string, limit int64) error {
	fps := c.cfg.FPS
	if fps == 0 {
		fps = defaultFPS
	}
	every := time.Duration(float64(time.Second) / fps)
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if st.IsDir() {
		c.info.Driver, c.info.FPS = "folder of pictures", fps
		c.reel, err = newFolder(path, every, limit)
		return err
	}
	src, err := openSource(path, limit)
	if err != nil {
		return err
	}
	if c.reel, err = c.dispatch(src, every); err != nil {
		src.Close()
	}
	return err
}

// dispatch tells the kind of file by its first bytes.
func (c *camera) dispatch(src *source, every time.Duration) (reel, error) {
	var buf [12]byte
	head, err := src.read(0, int(min(12, src.size)), buf[:])
	if err != nil {
		return nil, err
	}
	r := &indexed{src: src, share: every}
	switch {
	case len(head) == 12 && string(head[:4]) == "RIFF" && string(head[8:]) == "AVI ":
		c.info.Driver = "AVI"
		r.items, r.share, err = parseAVI(src)
	case bytes.HasPrefix(head, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		c.info.Driver = "Matroska"
		r.items, r.share, err = parseMKV(src)
	case src.mem != nil:
		c.info.Driver = "MJPEG stream file"
		c.info.FPS = 1 / every.Seconds()
		r.items, err = parseMJPEG(src.mem, every)
	default:
		c.info.Driver = "MJPEG stream file"
		c.info.FPS = 1 / every.Seconds()
		if !looksLikeMJPEG(src) {
			return nil, mjpeg.ErrNoPicture
		}
		return newSplitting(src, every), nil
	}
	if err != nil {
		return nil, err
	}
	if d := r.length(); c.info.FPS == 0 && d > 0 {
		c.info.FPS = float64(len(r.items)) / d.Seconds()
	}
	if c.cfg.FPS > 0 && c.info.Driver != "MJPEG stream file" {
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("plays at the recording's own times, not at %g fps: use ?rate= to change the speed", c.cfg.FPS))
	}
	return r, nil
}

// lookAtFirst reads the size of the first readable frame, and rewinds.
func (c *camera) lookAtFirst() error {
	var err error
	for range 100 {
		var f *frame.Frame
		f, err = c.reel.take()
		if errors.Is(err, errUnreadable) {
			continue
		}
		if err != nil {
			break
		}
		ok := c.describe(f)
		c.info.Width, c.info.Height, c.info.Format = f.Width, f.Height, f.Format.Word()
		f.Release()
		if ok {
			break
		}
	}
	if err != nil {
		return err
	}
	if w, h := c.cfg.Width, c.cfg.Height; c.info.Width > 0 && (w > 0 && w != c.info.Width || h > 0 && h != c.info.Height) {
		c.info.Notes = append(c.info.Notes, fmt.Sprintf("the recording is %dx%d, not the %dx%d asked for", c.info.Width, c.info.Height, w, h))
	}
	return c.reel.rewind()
}

// describe fills in what a JPEG's header says.
func (c *camera) describe(f *frame.Frame) bool {
	if f.Format == 0 {
		f.Format = frame.JPEG
	}
	if f.Format != frame.JPEG {
		return true
	}
	h, err := mjpeg.Header(f.Data)
	f.Width, f.Height, f.Stride = h.Width, h.Height, 0
	return err == nil
}

func (c *camera) Info() capture.Info                   { return c.info }
func (c *camera) Controls() ([]capture.Control, error) { return nil, nil }

func (c *camera) SetControl(name string, _ int64) (int64, error) {
	return 0, &capture.Error{Op: "set " + name, Err: errors.New("a recording has no camera controls"), Config: true}
}

func (c *camera) Close() error {
	c.timer.Close()
	return c.reel.Close()
}

var errNothing = errors.New("no readable frame in the recording")

func (c *camera) Next(ctx context.Context) (*frame.Frame, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c.err != nil {
			return nil, c.err
		}
		f, err := c.next(ctx)
		switch {
		case err == nil:
			c.bad = 0
			return f, nil
		case errors.Is(err, errUnreadable):
			c.seq++
			c.lost[frame.LostCorrupt]++
			if c.bad++; c.bad > 10_000 {
				c.err = errNothing
			}
		case err == io.EOF && c.opt.loop:
			if c.round += c.reel.length(); c.reel.length() <= 0 {
				c.round += time.Millisecond
			}
			if err := c.reel.rewind(); err != nil {
				c.err = err
			}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		default:
			c.err = err
		}
	}
}

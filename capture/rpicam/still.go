//go:build linux

package rpicam

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
)

// settle is how long the sensor runs before each still, so that exposure and white
// balance are right.
const settle = 300 * time.Millisecond

// maxShot is how long one run of rpicam-still may take.
const maxShot = 30 * time.Second

type still struct {
	cfg  capture.Config
	info capture.Info
	op   string
	path string
	dir  string // for the metadata
	args []string
	pool frame.Pool
	seq  uint64
}

func openStill(ctx context.Context, op, index string, cfg capture.Config) (capture.Camera, error) {
	path, err := find("still")
	if err != nil {
		return nil, &capture.Error{Op: op, Err: errors.New("neither rpicam-still nor libcamera-still is installed"), Hint: installHint}
	}
	cams, err := List(ctx)
	if err != nil {
		return nil, err
	}
	s := &still{cfg: cfg, op: op, path: path}
	s.args = []string{"-n", "-t", strconv.Itoa(int(settle.Milliseconds())), "--camera", index, "-o", "-", "--denoise", "cdn_hq",
		"--width", strconv.Itoa(cfg.Width), "--height", strconv.Itoa(cfg.Height)}
	found := false
	for _, c := range cams {
		if strconv.Itoa(c.Index) != index {
			continue
		}
		found = true
		// The largest sensor mode; the image signal processor scales down.
		if w, h, ok := strings.Cut(c.Size, "x"); ok {
			s.args = append(s.args, "--mode", w+":"+h)
		}
		s.info.Name = c.Name
	}
	if !found {
		return nil, &capture.Error{Op: op, Err: fmt.Errorf("%w: there is no camera %s", capture.ErrGone, index), Hint: "rpicam-hello --list-cameras shows what is found"}
	}
	native := frame.I420
	if cfg.Format == frame.JPEG {
		native = frame.JPEG
		s.args = append(s.args, "-e", "jpg", "-q", strconv.Itoa(cfg.Quality))
	} else {
		s.args = append(s.args, "-e", "yuv420")
	}
	s.args = append(s.args, controlArgs(cfg)...)
	if s.dir, err = os.MkdirTemp("", "framepipe-rpicam-"); err != nil {
		return nil, &capture.Error{Op: op, Err: err}
	}
	s.args = append(s.args, "--metadata", s.metadata(), "--metadata-format", "txt")
	s.info.Source, s.info.Driver = "rpicam:"+index, filepath.Base(path)
	s.info.Width, s.info.Height, s.info.Format = cfg.Width, cfg.Height, native.Word()
	s.info.Mode, s.info.Port, s.info.StampKind = cfg.Mode.String(), cfg.Port.String(), frame.StampReadout.String()
	s.info.Notes = []string{fmt.Sprintf("each still is one run of %s, with %v for the exposure to settle", filepath.Base(path), settle)}
	return s, nil
}

func (s *still) metadata() string { return filepath.Join(s.dir, "metadata") }

func (s *still) Next(ctx context.Context) (*frame.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	os.Remove(s.metadata())
	limit, cancel := context.WithTimeout(ctx, maxShot)
	defer cancel()
	cmd := exec.CommandContext(limit, s.path, s.args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 2 * time.Second
	t := newTail()
	most := mjpeg.DefaultMaxFrame
	if s.cfg.Format != frame.JPEG {
		most = pixfmt.Size(frame.I420, s.cfg.Width, s.cfg.Height, (s.cfg.Width+127)&^127) + 1<<20
	}
	f := s.pool.Get(min(most, 1<<20))
	out := bytes.NewBuffer(f.Data[:0])
	cmd.Stdout, cmd.Stderr = &limited{w: out, n: most + 1}, t
	err := cmd.Run()
	f.Data = out.Bytes()
	if ctx.Err() != nil {
		f.Release()
		return nil, ctx.Err()
	}
	if err == nil {
		err = s.finish(f, most)
	} else if limit.Err() != nil {
		err = fmt.Errorf("no picture within %v", maxShot)
	}
	if err != nil {
		f.Release()
		return nil, explain("read "+strings.TrimPrefix(s.op, "open "), t, err)
	}
	return f, nil
}

// finish makes a frame of what the program wrote.
func (s *still) finish(f *frame.Frame, most int) error {
	if len(f.Data) == 0 {
		return io.ErrUnexpectedEOF
	}
	if len(f.Data) > most {
		return mjpeg.ErrTooLong
	}
	f.Dequeued = frame.SenderNow()
	f.Captured, f.StampKind = f.Dequeued, frame.StampArrival
	if s.cfg.Format == frame.JPEG {
		h, err := mjpeg.Header(f.Data)
		if err != nil {
			return err
		}
		f.Format, f.Width, f.Height = frame.JPEG, h.Width, h.Height
	} else {
		l, err := layoutOf(s.cfg.Width, s.cfg.Height, len(f.Data), isPiSP())
		if err != nil {
			return err
		}
		m, err := pixfmt.View(frame.I420, l.width, l.height, l.stride, f.Data)
		if err == nil {
			f.Data, err = pixfmt.Tighten(f.Data, &m)
		}
		if err != nil {
			return err
		}
		f.Format, f.Width, f.Height, f.Stride = frame.I420, l.width, l.height, l.width
	}
	if b, err := os.Open(s.metadata()); err == nil {
		readRecords(b, func(r record) bool {
			if r.sensor > 0 && frame.SenderTime(r.sensor) <= f.Dequeued {
				f.Captured, f.StampKind = frame.SenderTime(r.sensor), frame.StampReadout
			}
			return false
		})
		b.Close()
	}
	s.seq++
	f.Seq, f.Counts.Offered = s.seq, s.seq
	return nil
}

func (s *still) Info() capture.Info                             { return s.info }
func (s *still) Controls() ([]capture.Control, error)           { return nil, nil }
func (s *still) SetControl(name string, _ int64) (int64, error) { return 0, setError(name) }
func (s *still) Close() error                                   { return os.RemoveAll(s.dir) }

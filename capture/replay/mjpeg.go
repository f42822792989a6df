package replay

import (
	"errors"
	"fmt"
	"io"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
)

// parseMJPEG lists the pictures of a stream file that is in memory.
func parseMJPEG(b []byte, every time.Duration) ([]item, error) {
	var items []item
	for o := 0; o < len(b); {
		start, end, ok := mjpeg.Find(b[o:])
		if !ok {
			break
		}
		if len(items) >= maxItems {
			return nil, fmt.Errorf("stream has more than %d frames", maxItems)
		}
		items = append(items, item{at: time.Duration(len(items)) * every, off: int64(o + start), n: end - start})
		o += end
	}
	if len(items) == 0 {
		return nil, mjpeg.ErrNoPicture
	}
	return items, nil
}

// splitting is a reel over a stream file that is too large for memory: its frames
// are found as they are needed.
type splitting struct {
	src   *source
	split *mjpeg.Splitter
	pool  frame.Pool
	every time.Duration
	count int64
}

func newSplitting(src *source, every time.Duration) *splitting {
	r := &splitting{src: src, every: every}
	r.split = mjpeg.NewSplitter(src.all(), &r.pool, maxFrame)
	return r
}

// all reads the file from its beginning.
func (s *source) all() io.Reader { return io.NewSectionReader(s.file, 0, s.size) }

func (r *splitting) peek(k int) (time.Duration, bool) {
	return time.Duration(r.count+int64(k)) * r.every, true
}

func (r *splitting) length() time.Duration { return time.Duration(r.count) * r.every }
func (r *splitting) Close() error          { return r.src.Close() }

func (r *splitting) rewind() error {
	r.split.Reset(r.src.all())
	r.count = 0
	return nil
}

func (r *splitting) take() (*frame.Frame, error) {
	f, err := r.split.Next()
	switch {
	case err == nil:
		r.count++
	case errors.Is(err, mjpeg.ErrTooLong):
		r.count++
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return f, err
}

func (r *splitting) skip() error {
	f, err := r.take()
	if f != nil {
		f.Release()
	}
	if errors.Is(err, errUnreadable) {
		err = nil
	}
	return err
}

// looksLikeMJPEG reports whether a picture begins within the first megabyte.
func looksLikeMJPEG(src *source) bool {
	b, err := src.read(0, int(min(1<<20, src.size)), nil)
	if err != nil {
		return false
	}
	_, _, ok := mjpeg.Find(b)
	return ok
}

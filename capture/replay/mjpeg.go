package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
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
	file  *os.File
	split *mjpeg.Splitter
	pool  frame.Pool
	every time.Duration
	count int64
}

func newSplitting(f *os.File, every time.Duration) *splitting {
	r := &splitting{file: f, every: every}
	r.split = mjpeg.NewSplitter(f, &r.pool, maxFrame)
	return r
}

func (r *splitting) peek(k int) (time.Duration, bool) {
	return time.Duration(r.count+int64(k)) * r.every, true
}

func (r *splitting) length() time.Duration { return time.Duration(r.count) * r.every }
func (r *splitting) Close() error          { return r.file.Close() }

func (r *splitting) rewind() error {
	_, err := r.file.Seek(0, io.SeekStart)
	r.split.Reset(r.file)
	r.count = 0
	return err
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
func looksLikeMJPEG(f *os.File) bool {
	b, _ := bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<20), 1<<20).Peek(1 << 20)
	_, _, ok := mjpeg.Find(b)
	return ok
}

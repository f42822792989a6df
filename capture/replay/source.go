package replay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"framepipe/capture/internal/borrow"
	"framepipe/frame"
)

// preload is the size up to which a recording is read into memory at once.
const preload = 256 << 20

// maxItems bounds the index of a recording: 37 hours at 30 frames a second.
const maxItems = 4_000_000

// maxFrame bounds one picture.
const maxFrame = 32 << 20

// errUnreadable is one frame that cannot be had; the next one may be fine.
var errUnreadable = errors.New("unreadable frame")

// source is a file that is read anywhere: from memory if it is small.
type source struct {
	file readerAt
	mem  []byte // the whole file, or nil
	size int64
}

type readerAt interface {
	io.ReaderAt
	io.Closer
}

func openSource(path string, limit int64) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !st.Mode().IsRegular() {
		f.Close()
		return nil, errors.New("not a regular file")
	}
	s := &source{file: f, size: st.Size()}
	if s.size <= limit {
		s.mem = make([]byte, s.size)
		n, err := io.ReadFull(f, s.mem)
		f.Close()
		s.file = nil
		if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
			return nil, err
		}
		s.mem, s.size = s.mem[:n], int64(n)
	}
	return s, nil
}

func (s *source) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// read gives n bytes at off, in buf if they are not in memory.
func (s *source) read(off int64, n int, buf []byte) ([]byte, error) {
	if off < 0 || n < 0 || off > s.size || int64(n) > s.size-off {
		return nil, io.ErrUnexpectedEOF
	}
	if s.mem != nil {
		return s.mem[off : off+int64(n)], nil
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := s.file.ReadAt(buf, off)
	return buf, err
}

// A reel gives the frames of a recording one after another.
type reel interface {
	// peek is when the frame after the next k ones is due, counted from the
	// beginning of the recording.
	peek(k int) (at time.Duration, ok bool)
	// skip passes over the next frame.
	skip() error
	// take returns the next frame. An error that wraps errUnreadable is this
	// frame's alone.
	take() (*frame.Frame, error)
	// rewind goes back to the first frame.
	rewind() error
	// length is how long one round takes, with the last frame's share; it is
	// asked for at the end of a round.
	length() time.Duration
	io.Closer
}

// item is one frame of an index.
type item struct {
	at  time.Duration
	off int64 // in the source
	n   int
}

// indexed is a reel whose frames' places are all known.
type indexed struct {
	src   *source
	items []item
	share time.Duration // of the last frame
	pos   int
	lent  borrow.Frames
	pool  frame.Pool
}

func (r *indexed) peek(k int) (time.Duration, bool) {
	if r.pos+k >= len(r.items) {
		return 0, false
	}
	return r.items[r.pos+k].at, true
}

func (r *indexed) skip() error   { r.pos++; return nil }
func (r *indexed) rewind() error { r.pos = 0; return nil }
func (r *indexed) Close() error  { return r.src.Close() }

func (r *indexed) length() time.Duration {
	if len(r.items) == 0 {
		return 0
	}
	return r.items[len(r.items)-1].at + r.share
}

func (r *indexed) take() (*frame.Frame, error) {
	if r.pos >= len(r.items) {
		return nil, io.EOF
	}
	it := &r.items[r.pos]
	r.pos++
	if it.n <= 0 || it.n > maxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errUnreadable, it.n)
	}
	if r.src.mem != nil {
		b, err := r.src.read(it.off, it.n, nil)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnreadable, err)
		}
		return r.lent.Get(b), nil
	}
	f := r.pool.Get(it.n)
	if _, err := r.src.read(it.off, it.n, f.Data); err != nil {
		f.Release()
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return f, nil
}

package mjpeg

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"framepipe/frame"
)

// DefaultMaxFrame bounds one picture in a stream.
const DefaultMaxFrame = 32 << 20

// ErrTooLong says that no end of a picture was found within the limit.
var ErrTooLong = errors.New("picture exceeds the size limit")

// ErrNoPicture says that no beginning of one was found within the limit.
var ErrNoPicture = errors.New("no JPEG picture found")

// A Splitter finds the pictures in a stream of JPEGs written one after another.
// It reads straight into the buffer of the frame it will return; only what a read
// brought beyond the end of the picture is copied, once.
type Splitter struct {
	r    io.Reader
	pool *frame.Pool
	max  int

	carry   []byte // read already, behind the last picture
	buf     []byte // owns the memory of carry
	guess   int    // size of the next buffer
	err     error  // of the reader, once everything before it is used up
	skipped int64
	broken  int64
}

const readSize = 64 << 10 // a Linux pipe's capacity

// NewSplitter reads pictures of up to max bytes (0 = DefaultMaxFrame) from r into
// frames of pool.
func NewSplitter(r io.Reader, pool *frame.Pool, max int) *Splitter {
	if max <= 0 {
		max = DefaultMaxFrame
	}
	return &Splitter{r: r, pool: pool, max: max, guess: min(readSize, max)}
}

// Skipped is the number of bytes found outside of pictures.
func (s *Splitter) Skipped() int64 { return s.skipped }

// Broken is the number of beginnings of pictures that were given up.
func (s *Splitter) Broken() int64 { return s.broken }

// Reset goes on with another reader and forgets what was read ahead.
func (s *Splitter) Reset(r io.Reader) { s.r, s.err, s.carry = r, nil, nil }

// Next returns the next picture; only its Data and Format are set. A picture that
// is followed by another one or by the end of the stream before its EOI is
// returned as it is, so that Repair can mend and count it; one with impossible
// segments is skipped and counted by Broken. The error is the reader's (io.EOF at
// the end), or ErrTooLong or ErrNoPicture, after which Next looks on.
func (s *Splitter) Next() (*frame.Frame, error) {
	for {
		if err := s.findStart(); err != nil {
			return nil, err
		}
		f, err := s.picture()
		if f != nil || err != nil {
			return f, err
		}
	}
}

// findStart drops bytes until carry begins with SOI and the FF of a segment.
func (s *Splitter) findStart() error {
	since := s.skipped
	for {
		if k := bytes.Index(s.carry, soi); k >= 0 {
			s.skipped += int64(k)
			s.carry = s.carry[k:]
			return nil
		}
		keep := 0 // a part of the mark at the end
		if n := len(s.carry); bytes.HasSuffix(s.carry, soi[:2]) {
			keep = 2
		} else if n > 0 && s.carry[n-1] == 0xff {
			keep = 1
		}
		s.skipped += int64(len(s.carry) - keep)
		if s.skipped-since > int64(s.max) {
			s.carry = nil
			return fmt.Errorf("%w in %d bytes", ErrNoPicture, s.skipped-since)
		}
		if s.err != nil {
			s.skipped += int64(keep)
			s.carry = nil
			return s.err
		}
		if s.buf == nil {
			s.buf = make([]byte, readSize)
		}
		copy(s.buf, s.carry[len(s.carry)-keep:])
		n, err := readSome(s.r, s.buf[keep:])
		s.carry, s.err = s.buf[:keep+n], err
	}
}

var soi = []byte{0xff, mSOI, 0xff}

// picture takes the one that carry begins with. It returns nil, nil if that was
// none, with carry behind its beginning.
func (s *Splitter) picture() (*frame.Frame, error) {
	var w walker
	st := w.walk(s.carry)
	if st != walkMore || s.err != nil {
		return s.fromCarry(st, w.pos), nil
	}
	if len(s.carry) > s.max {
		return nil, s.tooLong(s.carry)
	}
	f := s.pool.Get(min(max(s.guess, len(s.carry)+4096), s.max+1))
	n := copy(f.Data[:cap(f.Data)], s.carry)
	s.carry = nil
	for st == walkMore && s.err == nil {
		if n > s.max {
			err := s.tooLong(f.Data[:n])
			f.Release()
			return nil, err
		}
		if n == cap(f.Data) {
			bigger := make([]byte, min(2*n, s.max+readSize))
			copy(bigger, f.Data[:n])
			f.Data = bigger
		}
		b := f.Data[:cap(f.Data)]
		var k int
		k, s.err = readSome(s.r, b[n:min(len(b), n+readSize)])
		n += k
		f.Data = b[:n]
		st = w.walk(f.Data)
	}
	if st == walkBroken {
		// Go on from there, not from behind the false beginning: no input may
		// make us look at its bytes again and again.
		s.keepRest(f.Data[w.pos:n])
		f.Release()
		s.broken++
		s.skipped += int64(w.pos)
		return nil, nil
	}
	if st == walkMore { // the stream ended inside the picture
		w.pos = n
	}
	s.keepRest(f.Data[w.pos:n])
	f.Data = f.Data[:w.pos]
	f.Format = frame.JPEG
	s.guess = min(max(w.pos+w.pos/4, s.guess-s.guess/16, readSize/4), s.max)
	return f, nil
}

// fromCarry makes a frame of a picture that was read completely with the last one.
func (s *Splitter) fromCarry(st walkState, end int) *frame.Frame {
	if st == walkBroken {
		s.broken++
		s.skipped += int64(end)
		s.carry = s.carry[end:]
		return nil
	}
	if st == walkMore {
		end = len(s.carry)
	}
	f := s.pool.Get(end)
	copy(f.Data, s.carry)
	s.carry = s.carry[end:]
	f.Format = frame.JPEG
	return f
}

// keepRest moves bytes that belong to later pictures to memory of our own.
func (s *Splitter) keepRest(rest []byte) {
	if len(rest) == 0 {
		s.carry = nil
		return
	}
	if len(rest) > cap(s.buf) {
		s.buf = make([]byte, max(len(rest), readSize))
	}
	s.buf = s.buf[:cap(s.buf)]
	s.carry = s.buf[:copy(s.buf, rest)]
}

func (s *Splitter) tooLong(b []byte) error {
	s.broken++
	s.skipped += int64(len(b))
	s.carry = nil
	return fmt.Errorf("%w: %d bytes without an end marker", ErrTooLong, len(b))
}

// readSome reads at least one byte or fails; readers that return nothing again
// and again are cut off.
func readSome(r io.Reader, b []byte) (int, error) {
	for range 100 {
		if n, err := r.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

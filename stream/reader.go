package stream

import (
	"fmt"
	"io"
	"net"
	"time"

	"framepipe/frame"
	"framepipe/internal/rawio"
	"framepipe/wire"
)

// readerSize holds any header, and a small frame with it; what goes beyond is
// read straight into the frame's own buffer.
const readerSize = 5 << 10

// firstChunk is how much memory a peer gets on the strength of a length alone.
// More comes as the bytes do, so that announcing 32 MiB and sending nothing costs
// nothing; a peer that has sent large frames gets their size at once.
const firstChunk = 1 << 20

// reader reads messages from one connection, and notes when. It is owned by the
// connection's read loop.
type reader struct {
	conn    net.Conn
	sock    *rawio.Reader
	buf     []byte
	r, w    int                // buf[r:w] is unread
	filled  frame.ReceiverTime // when the last read returned
	timeout time.Duration      // a message must be complete so long after the one before
	armed   time.Time          // when the deadline was last set
	largest int                // of the frames read so far
	pool    *frame.Pool
}

func newReader(conn net.Conn, pool *frame.Pool, timeout time.Duration) *reader {
	return &reader{conn: conn, sock: rawio.NewReader(conn), buf: make([]byte, readerSize), pool: pool, timeout: timeout}
}

// arm moves the deadline on after a complete message. Setting one costs more
// than reading the clock, so it is done once a second at most.
func (r *reader) arm() error {
	if now := time.Now(); now.Sub(r.armed) > time.Second {
		r.armed = now
		return r.conn.SetReadDeadline(now.Add(r.timeout + time.Second))
	}
	return nil
}

// peek returns the next n bytes without consuming them. n is at most readerSize.
func (r *reader) peek(n int) ([]byte, error) {
	for r.w-r.r < n {
		if r.r > 0 && r.r+n > len(r.buf) {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		}
		if r.r == r.w {
			r.r, r.w = 0, 0
		}
		k, err := r.sock.ReadV(r.buf[r.w:], nil, n-(r.w-r.r))
		r.filled = frame.ReceiverNow()
		r.w += k
		if err != nil && r.w-r.r < n {
			if err == io.EOF && r.w > r.r {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.buf[r.r : r.r+n], nil
}

// next returns and consumes n bytes, valid until the next call.
func (r *reader) next(n int) ([]byte, error) {
	b, err := r.peek(n)
	r.r += len(b)
	return b, err
}

// payload reads a frame's n bytes into a pooled buffer. Rest is how many of
// them came after the read that filled the buffer; the last read sets r.filled.
func (r *reader) payload(n int) (f *frame.Frame, rest int, err error) {
	have := min(n, max(firstChunk, 2*r.largest))
	f = r.pool.Get(have)
	got := copy(f.Data, r.buf[r.r:min(r.w, r.r+n)])
	r.r += got
	rest = n - got
	for got < n {
		if got == len(f.Data) {
			f = grow(r.pool, f, min(n, 2*len(f.Data)))
		}
		var after []byte // all of the buffer's bytes are taken: there is room for what follows the frame
		if len(f.Data) == n {
			after = r.buf
		}
		k, err := r.sock.ReadV(f.Data[got:], after, len(f.Data)-got)
		r.filled = frame.ReceiverNow()
		got += k
		if got > n {
			r.r, r.w = 0, got-n
			got = n
		}
		if err != nil && got < n {
			f.Release()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, rest, err
		}
	}
	r.largest = max(r.largest, n)
	return f, rest, nil
}

func grow(pool *frame.Pool, f *frame.Frame, n int) *frame.Frame {
	g := pool.Get(n)
	copy(g.Data, f.Data)
	f.Release()
	return g
}

// skip consumes n bytes of any number.
func (r *reader) skip(n int) error {
	for n > 0 {
		k := min(n, readerSize)
		if _, err := r.next(k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// message is a v1 message with everything but a frame's payload.
type message struct {
	wire.Prefix
	header []byte             // valid until the next read
	first  frame.ReceiverTime // the read that returned its first byte
}

// message reads the next prefix and header.
func (r *reader) message(maxFrame int) (m message, err error) {
	if err := r.arm(); err != nil {
		return m, err
	}
	if _, err := r.peek(1); err != nil {
		return m, err
	}
	m.first = r.filled
	b, err := r.peek(wire.PrefixSize)
	if err != nil {
		return m, err
	}
	if m.Prefix, err = wire.ParsePrefix(b, maxFrame); err != nil {
		return m, err
	}
	if b, err = r.next(wire.PrefixSize + m.Header); err != nil {
		return m, err
	}
	m.header = b[wire.PrefixSize:]
	return m, nil
}

// text reads a message's payload that is not a frame. It allocates.
func (r *reader) text(n int) ([]byte, error) {
	b := make([]byte, n)
	for got := 0; got < n; {
		c, err := r.next(min(n-got, readerSize))
		if err != nil {
			return nil, err
		}
		got += copy(b[got:], c)
	}
	return b, nil
}

// preamble consumes v1's first bytes.
func (r *reader) preamble() error {
	b, err := r.next(len(wire.Preamble))
	if err != nil {
		return err
	}
	if [4]byte(b) != wire.Preamble {
		return fmt.Errorf("stream: the other side does not speak framepipe's v1 (it began with % x)", b)
	}
	return nil
}

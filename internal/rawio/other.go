//go:build !linux

package rawio

import (
	"errors"
	"io"
	"net"
	"os"
)

// Writer is only for Linux: elsewhere goroutines write, which may wait.
type Writer struct{}

// NewWriter returns nil.
func NewWriter(net.Conn) *Writer { return nil }

// Write is never called.
func (*Writer) Write([][]byte) (int, error) { return 0, errors.ErrUnsupported }

// Reader reads; see reader_linux.go for what it does there.
type Reader struct{ under io.Reader }

// NewReader reads r.
func NewReader(r io.Reader) *Reader { return &Reader{r} }

// Read implements io.Reader.
func (s *Reader) Read(b []byte) (int, error) { return s.under.Read(b) }

// ReadV fills a.
func (s *Reader) ReadV(a, _ []byte, _ int) (int, error) { return s.under.Read(a) }

// Conn is the connection itself.
type Conn struct{ *net.TCPConn }

// NewConn wraps c.
func NewConn(c *net.TCPConn) *Conn { return &Conn{c} }

// GrowPipe does nothing.
func GrowPipe(*os.File, int) {}

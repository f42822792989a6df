//go:build !linux

package trywrite

import (
	"errors"
	"net"
)

// Writer is only for Linux: elsewhere goroutines write, which may wait.
type Writer struct{}

// New returns nil.
func New(net.Conn) *Writer { return nil }

// Write is never called.
func (*Writer) Write([][]byte) (int, error) { return 0, errors.ErrUnsupported }

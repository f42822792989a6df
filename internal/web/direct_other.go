//go:build !linux

package web

import (
	"errors"
	"net"
)

// direct is only for Linux: elsewhere each viewer has a goroutine that writes.
type direct struct{}

func newDirect(net.Conn) *direct { return nil }

func (*direct) write(*[3][]byte) (int, error) { return 0, errors.ErrUnsupported }

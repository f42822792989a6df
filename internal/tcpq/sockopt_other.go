//go:build !linux

package tcpq

import (
	"errors"
	"net"
)

// SetCongestion fails.
func SetCongestion(net.Conn, string) error { return errors.ErrUnsupported }

// Congestion is not known.
func Congestion(net.Conn) string { return "" }

// SetNotsentLowat fails.
func SetNotsentLowat(net.Conn, int) error { return errors.ErrUnsupported }

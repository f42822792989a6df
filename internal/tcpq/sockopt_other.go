//go:build !linux

package tcpq

import (
	"errors"
	"net"
	"time"
)

// SetCongestion fails.
func SetCongestion(net.Conn, string) error { return errors.ErrUnsupported }

// Congestion is not known.
func Congestion(net.Conn) string { return "" }

// SetRTOMin fails.
func SetRTOMin(net.Conn, time.Duration) error { return errors.ErrUnsupported }

// SetNotsentLowat fails.
func SetNotsentLowat(net.Conn, int) error { return errors.ErrUnsupported }

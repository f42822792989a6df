//go:build !linux

package stream

import (
	"errors"
	"net"
)

func setCongestion(net.Conn, string) error { return errors.ErrUnsupported }
func congestion(net.Conn) string           { return "" }
func setNotsentLowat(net.Conn, int) error  { return errors.ErrUnsupported }

package rawio

import "net"

// Wrap makes a TCP connection of package net's a Conn. Others stay what they are.
func Wrap(c net.Conn) net.Conn {
	if t, ok := c.(*net.TCPConn); ok {
		return NewConn(t)
	}
	return c
}

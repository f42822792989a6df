package rawio

import "net"

// Wrap makes a TCP connection of package net's a Conn. Others stay what they are.
func Wrap(c net.Conn) net.Conn {
	if t, ok := c.(*net.TCPConn); ok {
		return NewConn(t)
	}
	return c
}

// Listener is ln, whose connections are Conns where they can be.
func Listener(ln net.Listener) net.Listener { return listener{ln} }

type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}

package secure

import "net"

// Begun gives back what was read of a connection to see what it speaks.
type Begun struct {
	net.Conn
	Begin []byte
}

func (c *Begun) Read(b []byte) (int, error) {
	if len(c.Begin) > 0 {
		n := copy(b, c.Begin)
		c.Begin = c.Begin[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// NetConn is for those who ask the socket.
func (c *Begun) NetConn() net.Conn { return c.Conn }

// CloseWrite is the socket's.
func (c *Begun) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

// SetLinger is the socket's.
func (c *Begun) SetLinger(sec int) error {
	if t, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return t.SetLinger(sec)
	}
	return nil
}

// Begins waits for a connection's first byte and returns it, with a connection that
// still has it: the same one where the system lets us look ahead.
func Begins(c net.Conn) (byte, net.Conn, error) {
	if b, err, ok := peek(c); ok {
		return b, c, err
	}
	var b [1]byte
	if _, err := c.Read(b[:]); err != nil {
		return 0, c, err
	}
	return b[0], &Begun{Conn: c, Begin: b[:]}, nil
}

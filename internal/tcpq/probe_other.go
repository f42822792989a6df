//go:build !linux

package tcpq

import "net"

// This system does not tell how much of a connection's data is on the way.
func newSockProbe(net.Conn) Probe { return nil }

//go:build !linux

package stream

import (
	"errors"
	"net"
)

// probe: this system does not tell how much of a connection's data is on the way.
type probe struct{}

func newProbe(net.Conn) *probe { return nil }

func (*probe) queued() (int, error)   { return 0, errors.ErrUnsupported }
func (*probe) info() (tcpInfo, error) { return tcpInfo{}, errors.ErrUnsupported }

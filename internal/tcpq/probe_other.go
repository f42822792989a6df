//go:build !linux

package tcpq

import (
	"errors"
	"net"
)

// Probe: this system does not tell how much of a connection's data is on the way.
type Probe struct{}

// NewProbe returns nil.
func NewProbe(net.Conn) *Probe { return nil }

// Queued fails.
func (*Probe) Queued() (int, error) { return 0, errors.ErrUnsupported }

// Info fails.
func (*Probe) Info() (Info, error) { return Info{}, errors.ErrUnsupported }

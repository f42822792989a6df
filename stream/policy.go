package stream

import (
	"context"
	"fmt"
	"net"

	"framepipe/wire"
)

// Policy is what a sender does when frames come faster than the connection
// takes them.
type Policy struct {
	name string
	// blocks makes the camera wait until the frame before is with the kernel, as
	// in the origin, where the write happens in the camera's own callback.
	blocks bool
	// lowat bounds what the kernel takes beyond what it has sent
	// (TCP_NOTSENT_LOWAT), 0 = its default: then the choice which frame is the
	// newest is made here and not a megabyte earlier.
	lowat int
}

func (p Policy) String() string { return p.name }

// Blocks reports whether the capture loop has to wait for the send loop.
func (p Policy) Blocks() bool { return p.blocks }

// notsentLowat is the smallest amount that costs no throughput on loopback and
// on emulated links.
const notsentLowat = 16 << 10

var policies = map[string]Policy{
	"block":  {name: "block", blocks: true},
	"newest": {name: "newest", lowat: notsentLowat},
}

// DefaultPolicy is what `framepipe send` does unless asked otherwise.
const DefaultPolicy = "newest"

// ParsePolicy reads what a person types.
func ParsePolicy(s string) (Policy, error) {
	if p, ok := policies[s]; ok {
		return p, nil
	}
	return Policy{}, fmt.Errorf("unknown policy %q: use newest or block", s)
}

// gate decides when the next frame may be taken from the mailbox. It is the
// place for policies that look into the connection; these two never wait.
type gate interface {
	// open returns when a frame may be taken.
	open(ctx context.Context) error
	// acked is told each acknowledgement.
	acked(wire.Ack)
}

func (p Policy) gate(net.Conn) gate { return openGate{} }

// openGate is always open: a write that blocks is all the back-pressure there is.
type openGate struct{}

func (openGate) open(ctx context.Context) error { return nil }
func (openGate) acked(wire.Ack)                 {}

package stream

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"framepipe/internal/tcpq"
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
	// gated waits, before a frame is taken, until the kernel's queue of
	// unacknowledged bytes is about what the link needs to stay busy.
	gated bool
	// inFlight is how many frames the receiver may not have acknowledged; 0 = any number.
	inFlight int
	// deadline is how old a frame may be when it is sent; 0 = any age.
	deadline time.Duration
	// rescue dials anew in parallel when a connection stalls.
	rescue bool
}

func (p Policy) String() string { return p.name }

// Blocks reports whether the capture loop has to wait for the send loop.
func (p Policy) Blocks() bool { return p.blocks }

// NeedsAcks reports whether the policy cannot work on wire v0.
func (p Policy) NeedsAcks() bool { return p.inFlight > 0 }

// DefaultPolicy is what `framepipe send` does unless asked otherwise.
const DefaultPolicy = "gated"

// PolicyUsage says what ParsePolicy reads.
const PolicyUsage = "gated, newest, block, ack=N or deadline=D"

// ParsePolicy reads what a person types.
func ParsePolicy(s string) (Policy, error) {
	name, value, has := strings.Cut(s, "=")
	switch {
	case name == "block" && !has:
		return Policy{name: s, blocks: true}, nil
	case name == "newest" && !has:
		return Policy{name: s, lowat: tcpq.NotsentLowat, rescue: true}, nil
	case name == "gated" && !has:
		return Policy{name: s, lowat: tcpq.NotsentLowat, gated: true, rescue: true}, nil
	case name == "ack":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxFlight {
			return Policy{}, fmt.Errorf("policy %q: write ack=N, N frames from 1 to %d that are not acknowledged yet (2 keeps a link busy)", s, maxFlight)
		}
		return Policy{name: s, lowat: tcpq.NotsentLowat, inFlight: n, rescue: true}, nil
	case name == "deadline":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return Policy{}, fmt.Errorf("policy %q: write deadline=D, the age beyond which a frame is not sent, as in deadline=80ms", s)
		}
		return Policy{name: s, lowat: tcpq.NotsentLowat, gated: true, deadline: d, rescue: true}, nil
	}
	return Policy{}, fmt.Errorf("unknown policy %q: use %s", s, PolicyUsage)
}

// mustPolicy parses a policy of our own.
func mustPolicy(s string) Policy {
	p, err := ParsePolicy(s)
	if err != nil {
		panic(err)
	}
	return p
}

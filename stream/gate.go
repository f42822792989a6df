package stream

import (
	"context"
	"time"
)

// What the gate lets through. Measured on emulated links: with a threshold of
// one bandwidth-delay product a link with jitter starves, because the smallest
// round trip is well below the mean one; two keep it busy, three are needed
// under jitter, and each costs some milliseconds in overload.
const (
	gateFloor  = 16 << 10 // bytes that always may be queued
	gatePoll   = time.Millisecond
	gateBDP    = 2
	gateJitter = 3 // instead of gateBDP while the smoothed round trip is 1.5 times the smallest
)

// open returns when the next frame may be taken from the mailbox. Until then the
// camera's newest frame waits there, where it can still be replaced.
func (c *senderConn) open(ctx context.Context, p Policy) error {
	for p.inFlight > 0 && c.flight.len() >= p.inFlight {
		select {
		case <-c.flight.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !p.gated || c.probe == nil {
		return nil
	}
	for !c.drained() {
		if c.pause == nil {
			c.pause = time.NewTimer(gatePoll)
		} else {
			c.pause.Reset(gatePoll)
		}
		select {
		case <-c.pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// drained reports whether the kernel's queue is short enough for another frame.
func (c *senderConn) drained() bool {
	queued, err := c.probe.queued()
	if err != nil || queued <= gateFloor {
		return true
	}
	info, err := c.probe.info()
	if err != nil {
		return true
	}
	k := uint64(gateBDP)
	if 2*uint64(info.rtt) > 3*uint64(info.minRTT) {
		k = gateJitter
	}
	limit := k * info.rate * uint64(info.minRTT) / 1e6
	c.limit.Store(int64(max(limit, gateFloor)))
	return uint64(queued) <= limit
}

// tcpInfo is what the gate wants to know of a connection.
type tcpInfo struct {
	rtt, minRTT uint32 // us: smoothed, and smallest
	rate        uint64 // bytes/s: delivery rate as the kernel measures it
	acked       uint64 // bytes that the other side's kernel has acknowledged
	retrans     uint32 // segments sent again, in all
}

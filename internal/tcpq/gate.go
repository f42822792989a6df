// Package tcpq bounds what waits in the kernel's queue of a TCP connection, so
// that the choice which frame is the newest can be made just before it is sent
// and not a megabyte earlier. It asks the kernel and sets its options; it reads
// and writes no data, and knows no frames. Where a system does not tell or does
// not take an option, the functions say so and callers go on without.
//
// Sources: tcp(7), SIOCOUTQ, TCP_INFO, TCP_NOTSENT_LOWAT, TCP_CONGESTION; BBR is
// described in draft-cardwell-iccrg-bbr-congestion-control.
package tcpq

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// What the gate lets through. Measured on emulated links: with a threshold of
// one bandwidth-delay product a link with jitter starves, because the smallest
// round trip is well below the mean one; two keep it busy, three are needed
// under jitter, and each costs some milliseconds in overload.
const (
	floor      = 16 << 10 // bytes that always may be queued
	poll       = time.Millisecond
	timesBDP   = 2
	withJitter = 3 // instead of timesBDP while the smoothed round trip is 1.5 times the smallest
)

// NotsentLowat is the smallest TCP_NOTSENT_LOWAT that costs no throughput on
// loopback and on emulated links.
const NotsentLowat = 16 << 10

// RTOMin is the floor of the retransmission timeout: well above the jitter of a
// radio link's round trips, and a fifth to a seventh of the kernel's own 200 ms.
const RTOMin = 30 * time.Millisecond

// KernelRTOMin is what Linux uses by itself (TCP_RTO_MIN, HZ/5).
const KernelRTOMin = 200 * time.Millisecond

// Info is what is of use in TCP_INFO.
type Info struct {
	RTT, MinRTT uint32 // us: smoothed, and smallest
	Rate        uint64 // bytes/s: delivery rate as the kernel measures it
	Acked       uint64 // bytes that the other side's kernel has acknowledged
	Retrans     uint32 // segments sent again, in all
	LastAck     uint32 // ms since the other side's kernel has last acknowledged anything
}

// Probe tells how far a connection's bytes have come, without allocating: it is
// asked up to a thousand times a second. Not for concurrent use.
type Probe interface {
	// Queued is how many bytes were written and are not acknowledged by the other
	// side's kernel.
	Queued() (int, error)
	Info() (Info, error)
}

// NewProbe returns nil where nobody can be asked. A connection that is a Probe
// itself is asked itself, as a simulated one is; one that wraps another, as TLS
// does, is asked for that (NetConn).
func NewProbe(conn net.Conn) Probe {
	if p, ok := conn.(Probe); ok {
		return p
	}
	return newSockProbe(inner(conn))
}

// inner is the socket below a connection that wraps one.
func inner(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}

// Gate opens when a connection's queue of unacknowledged bytes is about what the
// link needs to stay busy. The zero of it, a nil Gate, is always open. Wait is
// for one goroutine.
type Gate struct {
	probe Probe
	pause *time.Timer
	limit atomic.Int64
	known atomic.Uint64 // bytes/s; see Believe
}

// Believe tells the gate the link's rate in bytes/s (0 = not known) where the
// caller knows it sooner than the kernel, whose estimate is the best of the last
// round trips and so holds on to a rate that the link has lost.
func (g *Gate) Believe(rate float64) {
	if g != nil {
		g.known.Store(uint64(max(rate, 0)))
	}
}

// NewGate returns nil where the kernel cannot be asked.
func NewGate(conn net.Conn) *Gate {
	if p := NewProbe(conn); p != nil {
		return &Gate{probe: p}
	}
	return nil
}

// Limit is how many bytes may be queued, as of the last time that it mattered; 0
// = it never did.
func (g *Gate) Limit() int {
	if g == nil {
		return 0
	}
	return int(g.limit.Load())
}

// Ready reports whether Wait would return at once. It is for Wait's goroutine.
func (g *Gate) Ready() bool { return g == nil || g.open() }

// Wait returns when the gate is open, or ctx ended.
func (g *Gate) Wait(ctx context.Context) error {
	for g != nil && !g.open() {
		if g.pause == nil {
			g.pause = time.NewTimer(poll)
		} else {
			g.pause.Reset(poll)
		}
		select {
		case <-g.pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// open reports whether the kernel's queue is short enough for another frame.
func (g *Gate) open() bool {
	queued, err := g.probe.Queued()
	if err != nil || queued <= floor {
		return true
	}
	info, err := g.probe.Info()
	if err != nil {
		return true
	}
	k, rate, known := uint64(timesBDP), info.Rate, g.known.Load()
	if 2*uint64(info.RTT) > 3*uint64(info.MinRTT) {
		k = withJitter
	}
	if known > 0 {
		rate = min(rate, known)
	}
	limit := k * rate * uint64(info.MinRTT) / 1e6
	g.limit.Store(int64(max(limit, floor)))
	return uint64(queued) <= limit
}

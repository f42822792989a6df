package stream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"framepipe/wire"
)

// Limit is a bound on what peers can make a receiver hold or do.
type Limit struct {
	Name  string `json:"name"`  // of the flag
	Limit int64  `json:"limit"` // bytes, pixels, peers or milliseconds
	Hits  uint64 `json:"hits"`  // how often it was reached
}

// What a receiver limits.
const (
	limitFrame = iota
	limitPixels
	limitCameras
	limitConns
	limitPerAddress
	limitHandshake
	limitIdle
	numLimits
)

// limits counts how often each limit was reached.
type limits [numLimits]atomic.Uint64

// Limits tells the limits in force, and how often each was reached.
func (r *Receiver) Limits() []Limit {
	c := &r.cfg
	all := []Limit{
		limitFrame:      {Name: "max-frame", Limit: int64(c.MaxFrame)},
		limitPixels:     {Name: "max-pixels", Limit: c.MaxPixels},
		limitCameras:    {Name: "max-cameras", Limit: int64(c.MaxCameras)},
		limitConns:      {Name: "max-connections", Limit: int64(c.MaxConns)},
		limitPerAddress: {Name: "max-per-address", Limit: int64(c.PerAddress)},
		limitHandshake:  {Name: "handshake-timeout", Limit: c.Handshake.Milliseconds()},
		limitIdle:       {Name: "idle-timeout", Limit: c.Timeout.Milliseconds()},
	}
	for i := range all {
		all[i].Hits = r.limits[i].Load()
	}
	return all
}

// hit counts err for the limit, or for the one that it is about.
func (r *Receiver) hit(limit int, err error) {
	ne, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		limit = limitFrame
	case !isNet || !ne.Timeout():
		return
	}
	r.limits[limit].Add(1)
}

// enter counts a connection in, if there is room. Loopback is one machine's many
// programs, and tunnels; it is bound by the total alone.
func (r *Receiver) enter(addr netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		r.conns = make(map[string]int)
	}
	key := addr.WithZone("").String()
	switch {
	case r.nconns >= r.cfg.MaxConns:
		r.limits[limitConns].Add(1)
		return fmt.Errorf("there are %d connections, --max-connections allows no more", r.nconns)
	case r.conns[key] >= r.cfg.PerAddress && !addr.IsLoopback():
		r.limits[limitPerAddress].Add(1)
		return fmt.Errorf("there are %d connections from this address, --max-per-address allows no more", r.conns[key])
	}
	r.conns[key]++
	r.nconns++
	return nil
}

func (r *Receiver) leave(addr netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := addr.WithZone("").String()
	if r.conns[key]--; r.conns[key] == 0 {
		delete(r.conns, key)
	}
	r.nconns--
}

package web

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/stream"
)

// DefaultMaxConns is how many connections a server has at once unless told.
const DefaultMaxConns = 1024

// What a request may bring unless told, in bytes.
const (
	DefaultMaxHeader = 32 << 10
	DefaultMaxBody   = 64 << 10
)

// Conns bounds what clients of an http.Server make it hold: connections, as its
// ConnState hook, and what requests bring; see Serve. A connection that is taken over, by a stream or a WebSocket, counts until it is over. The zero
// value has the default limits. A nil *Conns counts nothing.
type Conns struct {
	Most       int
	PerAddress int // not for loopback, where a reverse proxy may be; 0 = no limit
	MaxHeader  int // bytes of a request's head; more than twice that is refused by net/http already
	MaxBody    int // bytes
	HeaderTime time.Duration
	BodyTime   time.Duration

	headers, bodies       atomic.Uint64 // requests that were larger
	lateHeads, lateBodies atomic.Uint64 // and that took longer

	mu   sync.Mutex
	all  map[net.Conn]netip.Addr // guarded by mu
	of   map[netip.Addr]int      // guarded by mu
	hits [2]uint64               // guarded by mu; of Most and PerAddress
}

// Changed is an http.Server's ConnState.
func (l *Conns) Changed(c net.Conn, state http.ConnState) {
	if p := peerOf(c); p != nil {
		p.changed(c, state)
	}
	switch state {
	case http.StateNew:
		if !l.enter(c) {
			c.Close()
		}
	case http.StateClosed:
		l.leave(c)
	}
}

func (l *Conns) most() int {
	if l == nil {
		return DefaultMaxConns
	}
	return cmp.Or(l.Most, DefaultMaxConns)
}

// full counts a connection that found no place.
func (l *Conns) full() {
	if l != nil {
		l.mu.Lock()
		l.hits[0]++
		l.mu.Unlock()
	}
}

func (l *Conns) enter(c net.Conn) bool {
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	addr := ap.Addr().Unmap().WithZone("")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all, l.of = make(map[net.Conn]netip.Addr), make(map[netip.Addr]int)
	}
	switch {
	case len(l.all) >= l.most():
		l.hits[0]++
		return false
	case l.PerAddress > 0 && l.of[addr] >= l.PerAddress && !addr.IsLoopback():
		l.hits[1]++
		return false
	}
	l.all[c] = addr
	l.of[addr]++
	return true
}

// leave counts a connection out; one that is not in is passed over.
func (l *Conns) leave(c net.Conn) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	addr, ok := l.all[c]
	if !ok {
		return
	}
	delete(l.all, c)
	if l.of[addr]--; l.of[addr] == 0 {
		delete(l.of, addr)
	}
}

// Count is how many there are now.
func (l *Conns) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

// Limits tells the limits, and how often each was reached.
func (l *Conns) Limits() []stream.Limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []stream.Limit{{Name: "max-viewers", Limit: int64(l.most()), Hits: l.hits[0]}, {Name: "max-per-address", Limit: int64(l.PerAddress), Hits: l.hits[1]},
		{Name: "max-header", Limit: int64(l.maxHeader()), Hits: l.headers.Load()}, {Name: "max-body", Limit: int64(cmp.Or(l.MaxBody, DefaultMaxBody)), Hits: l.bodies.Load()},
		{Name: "header-timeout", Limit: l.headerTime().Milliseconds(), Hits: l.lateHeads.Load()}, {Name: "body-timeout", Limit: l.bodyTime().Milliseconds(), Hits: l.lateBodies.Load()}}
}

// fits bounds a request's head and body, and answers one that is too large.
func (l *Conns) fits(w http.ResponseWriter, r *http.Request) bool {
	if l == nil {
		l = new(Conns)
	}
	l.asked(r)
	most, size := l.maxHeader(), len(r.Method)+len(r.RequestURI)+len(r.Host)
	for k, all := range r.Header {
		for _, v := range all {
			size += len(k) + len(v) + len(": \r\n")
		}
	}
	if size > most {
		l.headers.Add(1)
		fail(w, http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request's head has more than %d bytes (--max-header)", most))
		return false
	}
	if most := int64(cmp.Or(l.MaxBody, DefaultMaxBody)); r.ContentLength > most {
		l.bodies.Add(1)
		tooLarge(w, most)
		return false
	} else if r.ContentLength != 0 {
		r.Body = &bounded{ReadCloser: http.MaxBytesReader(w, r.Body, most), hits: &l.bodies}
	}
	return true
}

func tooLarge(w http.ResponseWriter, most int64) {
	fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request brings more than %d bytes (--max-body)", most))
}

// bounded counts that a body was too large, once.
type bounded struct {
	io.ReadCloser
	hits *atomic.Uint64
	told bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, big := errors.AsType[*http.MaxBytesError](err); big && !b.told {
		b.told = true
		b.hits.Add(1)
	}
	return n, err
}

// limits shows what peers are held to, and how often they were.
func (s *Server) limits(w http.ResponseWriter, r *http.Request) {
	all := map[string]any{}
	if s.cfg.Limits != nil {
		all["listen"] = s.cfg.Limits()
	}
	if s.cfg.LogLimit != nil {
		all["log"] = []stream.Limit{s.cfg.LogLimit()}
	}
	if s.cfg.Conns != nil {
		all["http"] = s.cfg.Conns.Limits()
	}
	if g := s.cfg.Guard; g != nil {
		all["wrong_tokens"] = g.Failures.Total()
	}
	if s.cfg.RecordsNotKept != nil {
		all["records_not_kept"] = s.cfg.RecordsNotKept()
	}
	if s.cfg.Process != nil {
		all["process"] = s.cfg.Process()
	}
	reply(w, all)
}

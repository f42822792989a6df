package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"framepipe/internal/rawio"
)

// How long a request's head and its body may take unless told.
const (
	DefaultHeaderTime = 10 * time.Second
	DefaultBodyTime   = 10 * time.Second
)

// peer is a client's connection, as it comes from Conns.Listen. net/http refuses heads
// that are too large, and gives up those that take too long, without telling anybody;
// what it reads and waits for tells. All else is the socket's.
type peer struct {
	*rawio.Conn
	conns *Conns

	phase    atomic.Int32
	read     atomic.Int64 // bytes since the phase began
	late     atomic.Bool  // a deadline has passed in this phase
	deadline atomic.Int64 // Unix ns of the read deadline; 0 = none
}

// What a client is about to say.
const (
	sayingHead int32 = iota // the first one, TLS' handshake before it included
	sayingBody              // or nothing: the request is being answered
	sayingNext              // another head, or nothing
	takenOver               // by a stream or a WebSocket, which has limits of its own
)

// Listen is ln, whose connections tell what heads and bodies they were too slow or too
// large for. The http.Server needs ConnContext and Changed, too.
func (l *Conns) Listen(ln net.Listener) net.Listener {
	if l == nil {
		return ln
	}
	return &telling{ln, l}
}

type telling struct {
	net.Listener
	conns *Conns
}

func (t *telling) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &peer{Conn: rawio.NewConn(tcp), conns: t.conns}, err
	}
	return c, err
}

// peerOf is what is below an http.Server's connection, nil if that came another way.
func peerOf(c net.Conn) *peer {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	p, _ := c.(*peer)
	return p
}

type connKey struct{}

// ConnContext is an http.Server's: requests know the connection that they came over.
func (l *Conns) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if p := peerOf(c); p != nil {
		return context.WithValue(ctx, connKey{}, p)
	}
	return ctx
}

// Read implements net.Conn.
func (p *peer) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.read.Add(int64(n))
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		p.tooLate()
	}
	return n, err
}

// SetReadDeadline implements net.Conn.
func (p *peer) SetReadDeadline(t time.Time) error {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
	}
	p.deadline.Store(at)
	return p.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (p *peer) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

// tooLate counts that a deadline has passed, once a head or body. net/http ends its own
// reading by a deadline of 1970, and a connection that is kept open for another request
// that does not come is as it should be.
func (p *peer) tooLate() {
	if p.deadline.Load() < int64(time.Hour) {
		return
	}
	switch p.phase.Load() {
	case sayingBody:
		if p.late.CompareAndSwap(false, true) {
			p.conns.lateBodies.Add(1)
		}
	case sayingNext:
		if p.read.Load() < 4 { // net/http waits for so many before it calls it a head
			return
		}
		fallthrough
	case sayingHead:
		if p.late.CompareAndSwap(false, true) {
			p.conns.lateHeads.Add(1)
		}
	}
}

// begin begins a phase.
func (p *peer) begin(phase int32) {
	p.phase.Store(phase)
	p.read.Store(0)
	p.late.Store(false)
}

// changed follows an http.Server's ConnState; c is what it knows the peer as.
func (p *peer) changed(c net.Conn, state http.ConnState) {
	phase := p.phase.Load()
	inHead := phase == sayingHead || phase == sayingNext
	switch state {
	case http.StateActive: // a head is there, or there will be none
		if inHead && p.late.Load() {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			text := fmt.Sprintf("the request's head took longer than %v (--header-timeout)\n", p.conns.headerTime())
			fmt.Fprintf(c, "HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text) // a courtesy
		}
	case http.StateIdle:
		p.begin(sayingNext)
	case http.StateHijacked:
		p.begin(takenOver)
	case http.StateClosed:
		// No request came of all that: net/http refused it with a 431 of its own. What
		// wraps it under TLS is read, too; its handshake is not to count as a head.
		most := 2 * int64(p.conns.maxHeader())
		if _, wrapped := c.(*tls.Conn); wrapped {
			most += 4096
		}
		if inHead && !p.late.Load() && p.read.Load() > most {
			p.conns.headers.Add(1)
		}
	}
}

// asked notes that a request's head is there.
func (l *Conns) asked(r *http.Request) {
	if p, ok := r.Context().Value(connKey{}).(*peer); ok {
		p.begin(sayingBody)
	}
}

func (l *Conns) headerTime() time.Duration {
	if l == nil {
		return DefaultHeaderTime
	}
	return cmp.Or(l.HeaderTime, DefaultHeaderTime)
}

func (l *Conns) bodyTime() time.Duration {
	if l == nil {
		return DefaultBodyTime
	}
	return cmp.Or(l.BodyTime, DefaultBodyTime)
}

func (l *Conns) maxHeader() int { return cmp.Or(l.MaxHeader, DefaultMaxHeader) }

// Serve has srv keep to the limits, and returns what it is to listen to; with tls, that speaks
// TLS with who begins with it.
func (l *Conns) Serve(srv *http.Server, ln net.Listener, cfg *tls.Config) net.Listener {
	srv.ConnState, srv.ConnContext = l.Changed, l.ConnContext
	srv.ReadHeaderTimeout, srv.MaxHeaderBytes = l.headerTime(), 2*l.maxHeader()
	ln = l.Listen(ln)
	if cfg != nil {
		ln = SpeakTLS(ln, cfg, l)
	}
	return ln
}

var _ io.ReaderFrom = (*peer)(nil) // net/http sends files with it

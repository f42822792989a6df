package web

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"framepipe/internal/secure"
)

// SpeakTLS is a listener that speaks TLS with who begins with it, and leaves
// others in the clear, on one port. Closing it ends what it started. Who says nothing
// is held to the limits of conns.
func SpeakTLS(ln net.Listener, cfg *tls.Config, conns *Conns) net.Listener {
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"http/1.1"} // a WebSocket and a taken-over connection need it
	cfg.ClientAuth, cfg.ClientCAs = tls.NoClientCert, nil
	ctx, cancel := context.WithCancel(context.Background())
	l := &tlsListener{Listener: ln, cfg: cfg, ctx: ctx, cancel: cancel, ready: make(chan net.Conn), conns: conns, slots: make(chan struct{}, conns.most()), failed: make(chan error, 1)}
	l.wg.Go(l.accept)
	return l
}

type tlsListener struct {
	net.Listener
	cfg    *tls.Config
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan net.Conn
	conns  *Conns
	slots  chan struct{} // connections that have yet to begin
	failed chan error
	wg     sync.WaitGroup
}

func (l *tlsListener) accept() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			select {
			case l.failed <- err:
				if ne, ok := err.(interface{ Temporary() bool }); ok && ne.Temporary() {
					continue
				}
			case <-l.ctx.Done():
			}
			return
		}
		select {
		case l.slots <- struct{}{}:
			l.wg.Go(func() { l.decide(c) })
		default:
			l.conns.full()
			c.Close()
		}
	}
}

// decide waits for a connection's first byte.
func (l *tlsListener) decide(c net.Conn) {
	defer func() { <-l.slots }()
	stop := context.AfterFunc(l.ctx, func() { c.Close() })
	defer stop()
	c.SetReadDeadline(time.Now().Add(l.conns.headerTime()))
	b, c, err := secure.Begins(c)
	if err != nil {
		if p, ok := c.(*peer); ok && errors.Is(err, os.ErrDeadlineExceeded) {
			p.tooLate()
		}
		c.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	if b == 0x16 {
		c = tls.Server(c, l.cfg)
	}
	select {
	case l.ready <- c:
	case <-l.ctx.Done():
		c.Close()
	}
}

func (l *tlsListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l *tlsListener) Close() error {
	err := l.Listener.Close()
	l.cancel()
	l.wg.Wait()
	return err
}

package web

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"framepipe/internal/secure"
)

// firstByte is how long a connection may take to begin.
const firstByte = 10 * time.Second

// mostUndecided is how many connections may be about to begin.
const mostUndecided = 256

// SpeakTLS is a listener that speaks TLS with who begins with it, and leaves
// others in the clear, on one port. Closing it ends what it started.
func SpeakTLS(ln net.Listener, cfg *tls.Config) net.Listener {
	cfg = cfg.Clone()
	cfg.NextProtos = []string{"http/1.1"} // a WebSocket and a taken-over connection need it
	cfg.ClientAuth, cfg.ClientCAs = tls.NoClientCert, nil
	ctx, cancel := context.WithCancel(context.Background())
	l := &tlsListener{Listener: ln, cfg: cfg, ctx: ctx, cancel: cancel, ready: make(chan net.Conn), slots: make(chan struct{}, mostUndecided), failed: make(chan error, 1)}
	l.wg.Go(l.accept)
	return l
}

type tlsListener struct {
	net.Listener
	cfg    *tls.Config
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan net.Conn
	slots  chan struct{}
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
			c.Close()
		}
	}
}

// decide waits for a connection's first byte.
func (l *tlsListener) decide(c net.Conn) {
	defer func() { <-l.slots }()
	stop := context.AfterFunc(l.ctx, func() { c.Close() })
	defer stop()
	c.SetReadDeadline(time.Now().Add(firstByte))
	b, c, err := secure.Begins(c)
	if err != nil {
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

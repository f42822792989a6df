package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"framepipe/internal/secure"
	"framepipe/wire"
)

// Peer is a sender that asks to be let in.
type Peer struct {
	Addr  netip.Addr
	Hello *wire.HelloText      // nil for v0
	TLS   *tls.ConnectionState // nil for a connection in the clear

	// Answer is set by who admits it: the receiver's proof, for the welcome.
	Answer string
}

// errClear is what a peer in the clear is told by a receiver that speaks TLS.
var errClear = errors.New("this receiver asks for a token, and takes TLS only: use the connect string that it prints, or --token")

// tlsConn is a TLS connection whose ends are those of the socket below: our
// messages have their own goodbye, and closing must not wait to send another.
type tlsConn struct{ *tls.Conn }

func (c tlsConn) Close() error { return c.NetConn().Close() }

func (c tlsConn) CloseWrite() error {
	if t, ok := c.NetConn().(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

func (c tlsConn) SetLinger(sec int) error {
	if t, ok := c.NetConn().(interface{ SetLinger(int) error }); ok {
		return t.SetLinger(sec)
	}
	return nil
}

// handshake completes a TLS handshake in time.
func handshake(ctx context.Context, c *tls.Conn, within time.Duration) (tlsConn, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return tlsConn{}, fmt.Errorf("TLS: %w", err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != secure.ALPN {
		return tlsConn{}, fmt.Errorf("TLS: the other side speaks %q, not %s", printable([]byte(got)), secure.ALPN)
	}
	return tlsConn{c}, nil
}

// state is the TLS state of a connection, nil for one in the clear.
func tlsState(c net.Conn) *tls.ConnectionState {
	if t, ok := c.(tlsConn); ok {
		cs := t.ConnectionState()
		return &cs
	}
	return nil
}

// cipherOf names the cipher of a connection, "" for one in the clear.
func cipherOf(c net.Conn) string {
	if cs := tlsState(c); cs != nil {
		return tls.CipherSuiteName(cs.CipherSuite)
	}
	return ""
}

// isTLS reports whether a connection begins as a ClientHello's record does (RFC 8446, 5.1).
func isTLS(b []byte) bool { return b[0] == 0x16 && b[1] == 0x03 }

// secureConn makes a TLS connection of c, whose first bytes were peeked at.
func (r *Receiver) secureConn(ctx context.Context, c *feedConn) error {
	begun := &secure.Begun{Conn: c.Conn, Begin: append([]byte(nil), c.reader.buf[c.reader.r:c.reader.w]...)}
	t, err := handshake(ctx, tls.Server(begun, r.cfg.TLS), r.cfg.Handshake)
	if err != nil {
		return err
	}
	c.Conn = t
	c.reader = newReader(t, &c.pool, r.cfg.Timeout)
	return c.reader.arm()
}

// refuseClear tells a sender in the clear why it is sent away.
func (r *Receiver) refuseClear(c *feedConn, v1 bool) error {
	if !v1 {
		return errors.New("v0 cannot carry the token that this receiver asks for")
	}
	// Its hello is read, so that closing does not reset the connection under our
	// answer, and is not looked at.
	if err := c.reader.preamble(); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(r.cfg.Handshake))
	m, err := c.reader.message(r.cfg.MaxFrame)
	if err == nil {
		err = c.reader.skip(min(m.Payload, 64<<10))
	}
	if err != nil {
		return err
	}
	if err := c.send(wire.Preamble[:]); err != nil {
		return err
	}
	c.sendBye(wire.ReasonRefused, errClear.Error())
	return errClear
}

// secured makes a TLS connection of one that was just dialled, if the sender is to.
func (s *Sender) secured(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if s.cfg.TLS == nil {
		if s.cfg.Token != "" {
			return nc, errors.New("a token is shown over TLS only")
		}
		return nc, nil
	}
	cfg := s.cfg.TLS
	if to, ok := nc.RemoteAddr().(*net.TCPAddr); ok && cfg.ServerName == "" {
		cfg = cfg.Clone()
		cfg.ServerName = to.IP.String()
	}
	t, err := handshake(ctx, tls.Client(nc, cfg), helloTimeout)
	if err != nil {
		return nc, err
	}
	return t, nil
}

// auth is this sender's proof for a connection; nil without a token.
func (s *Sender) auth(c net.Conn) (*wire.Auth, error) {
	cs := tlsState(c)
	if s.cfg.Token == "" || cs == nil {
		return nil, nil
	}
	p, err := secure.Prove(s.cfg.Token, cs)
	return &wire.Auth{Proof: p}, err
}

// errImpostor is a receiver that took our proof and has none of its own.
var errImpostor = errors.New("the other side does not know the token: it is not our receiver")

// checkAnswer holds a receiver's proof against the token.
func (s *Sender) checkAnswer(c net.Conn, text *wire.WelcomeText) error {
	cs := tlsState(c)
	if s.cfg.Token == "" || cs == nil {
		return nil
	}
	if text.Auth == nil || !secure.Answers(s.cfg.Token, text.Auth.Proof, cs) {
		return errImpostor
	}
	return nil
}

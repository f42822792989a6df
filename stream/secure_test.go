package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/internal/secure"
	"framepipe/wire"
)

const testToken = "correct-horse-battery-staple"

// guarded is a receiver that asks for testToken, and the pin of its certificate.
func guarded(t *testing.T) (*rig, secure.Pin) {
	t.Helper()
	keys, err := secure.NewKeys(testToken)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := startReceiver(t, ReceiverConfig{TLS: secure.ServerConfig(cert, nil), Admit: func(p *Peer) error {
		if p.TLS == nil || p.Hello == nil || p.Hello.Auth == nil {
			return errors.New("no token")
		}
		rights, answer, err := keys.Admit(p.Hello.Auth.Token, p.Hello.Auth.Proof, p.TLS)
		if err == nil && rights&secure.Send == 0 {
			err = errors.New("wrong token")
		}
		p.Answer = answer
		return err
	}})
	return r, secure.PinOf(cert.Leaf)
}

// attempt runs a sender that gives up soon, and returns how it ended; nil after
// three frames.
func attempt(t *testing.T, cfg SenderConfig) error {
	t.Helper()
	cfg.Frames, cfg.Retry = 3, 300*time.Millisecond
	s := newTestSender(t, cfg)
	src := &source{box: s.Mailbox(), data: testJPEG()}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	fed, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		for fed.Err() == nil {
			src.put()
			time.Sleep(2 * time.Millisecond)
		}
	})
	err := s.Run(ctx)
	if err == nil && s.Stats().Received == 0 {
		t.Error("ended well without a frame confirmed")
	}
	return err
}

func TestWhoIsLetIn(t *testing.T) {
	r, pin := guarded(t)
	keys, _ := secure.NewKeys(testToken)
	other := secure.Pin{1}
	client := func(p *secure.Pin) *tls.Config { return secure.ClientConfig("127.0.0.1", p, nil, nil) }
	for _, tc := range []struct {
		name string
		cfg  SenderConfig
		want string // part of the error; "" = let in
	}{
		{"token and pin", SenderConfig{TLS: client(&pin), Token: testToken}, ""},
		{"token for sending, and pin", SenderConfig{TLS: client(&pin), Token: keys.SendToken()}, ""},
		{"token alone", SenderConfig{TLS: client(nil), Token: testToken}, ""},
		{"no token", SenderConfig{TLS: client(&pin)}, "no token"},
		{"wrong token", SenderConfig{TLS: client(&pin), Token: "correct-horse-battery-stapl"}, "wrong token"},
		{"token for viewing", SenderConfig{TLS: client(&pin), Token: keys.ViewToken()}, "wrong token"},
		{"pin mismatch", SenderConfig{TLS: client(&other), Token: testToken}, secure.ErrPin.Error()},
		{"v1 in the clear", SenderConfig{}, "takes TLS only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Address, tc.cfg.Name = r.addr, "cam"
			err := attempt(t, tc.cfg)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("ended with %v, want %q", err, tc.want)
			}
		})
	}
	f := r.recv.Feed("")
	if f == nil || f.Meter.Ledger().Delivered != 9 {
		t.Error("three senders of three frames each were to be let in")
	}
}

// A downgrade: v0, with lengths that a v0 sender may say and others, and JPEGs.
func TestV0IsRefusedOnceThereIsAToken(t *testing.T) {
	r, _ := guarded(t)
	for _, n := range []int{1000, 0x0316, 0x010316} { // the last two begin as a TLS record does
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		data := testJPEG()
		c.Write(append(wire.AppendV0(nil, uint32(n)), append(data, make([]byte, max(0, n-len(data)))...)...))
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		b, _ := io.ReadAll(c)
		if n == 1000 && len(b) > 0 {
			t.Errorf("a v0 sender got an answer: % x", b)
		}
	}
	if f := r.recv.Feeds(); len(f) != 0 {
		t.Errorf("there are %d cameras", len(f))
	}
}

// tap is a machine in the middle that copies bytes and remembers the sender's.
func tap(t *testing.T, to string) (addr string, sent func() []byte) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			wg.Go(func() { io.Copy(in, out); in.Close(); out.Close() })
			wg.Go(func() {
				b := make([]byte, 4096)
				for {
					n, err := in.Read(b)
					mu.Lock()
					seen.Write(b[:n])
					mu.Unlock()
					if _, e := out.Write(b[:n]); err != nil || e != nil {
						out.(*net.TCPConn).CloseWrite() // what is on its way back still comes
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String(), func() []byte { mu.Lock(); defer mu.Unlock(); return bytes.Clone(seen.Bytes()) }
}

// What somebody recorded opens no connection, and has neither token nor picture in it.
func TestAReplayedHandshakeIsRefused(t *testing.T) {
	r, pin := guarded(t)
	addr, sent := tap(t, r.addr)
	if err := attempt(t, SenderConfig{Address: addr, Name: "first", TLS: secure.ClientConfig("127.0.0.1", &pin, nil, nil), Token: testToken}); err != nil {
		t.Fatal(err)
	}
	recorded := sent()
	for _, secret := range [][]byte{[]byte(testToken), testJPEG()[:64], []byte("proof")} {
		if bytes.Contains(recorded, secret) {
			t.Errorf("%q crossed the wire in the clear", secret)
		}
	}
	before := r.recv.Feed("first").Meter.Ledger().Delivered
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go c.Write(recorded)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	io.Copy(io.Discard, c) // until the receiver closes
	if n := r.recv.Feed("first").Meter.Ledger().Delivered; n != before || len(r.recv.Feeds()) != 1 {
		t.Errorf("the replay was taken: %d frames after %d", n, before)
	}
}

// A machine in the middle with a certificate of its own gets the sender's proof, and can do
// nothing with it at the receiver, nor answer itself.
func TestAMachineInTheMiddleIsRecognised(t *testing.T) {
	r, _ := guarded(t)
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mitm, err := tls.Listen("tcp", "127.0.0.1:0", secure.ServerConfig(cert, nil))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := mitm.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer in.Close()
				out, err := tls.Dial("tcp", r.addr, secure.ClientConfig("127.0.0.1", nil, nil, nil))
				if err != nil {
					return
				}
				defer out.Close()
				go func() { io.Copy(out, in); out.Close() }()
				io.Copy(in, out)
			})
		}
	})
	err = attempt(t, SenderConfig{Address: mitm.Addr().String(), TLS: secure.ClientConfig("127.0.0.1", nil, nil, nil), Token: testToken})
	mitm.Close()
	if err == nil || len(r.recv.Feeds()) != 0 {
		t.Errorf("ended with %v, %d cameras", err, len(r.recv.Feeds()))
	}
	wg.Wait()
}

// An impostor welcomes everybody; a sender that has only a token sends it no frame.
func TestAReceiverThatDoesNotKnowTheTokenGetsNoFrame(t *testing.T) {
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := startReceiver(t, ReceiverConfig{TLS: secure.ServerConfig(cert, nil)})
	err = attempt(t, SenderConfig{Address: r.addr, Name: "cam", TLS: secure.ClientConfig("127.0.0.1", nil, nil, nil), Token: testToken})
	if err == nil || !strings.Contains(err.Error(), errImpostor.Error()) {
		t.Errorf("ended with %v", err)
	}
	if f := r.recv.Feed("cam"); f != nil && f.Meter.Ledger().Delivered > 0 {
		t.Error("the impostor got frames")
	}
}

// Who answers in the clear, as if TLS were not there, gets a ClientHello and no more.
func TestTLSIsNotStripped(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{}) // takes everybody, in the clear
	addr, sent := tap(t, r.addr)
	err := attempt(t, SenderConfig{Address: addr, TLS: secure.ClientConfig("127.0.0.1", nil, nil, nil), Token: testToken})
	if !errors.Is(err, ErrNoConnection) {
		t.Errorf("ended with %v", err)
	}
	b := sent()
	if len(b) == 0 || b[0] != 0x16 || bytes.Contains(b, wire.Preamble[:]) || bytes.Contains(b, []byte(testToken)) {
		t.Errorf("it sent % x …", b[:min(len(b), 16)])
	}
	if err := attempt(t, SenderConfig{Address: r.addr, Token: testToken}); err == nil || !strings.Contains(err.Error(), "over TLS only") {
		t.Errorf("a token without TLS: %v", err)
	}
}

// No log has the token or a proof in it, whatever goes wrong.
func TestTokensAreNotLogged(t *testing.T) {
	var mu sync.Mutex
	var text bytes.Buffer
	keys, _ := secure.NewKeys(testToken)
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(locked{&mu, &text}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var proofs []string
	recv := NewReceiver(ReceiverConfig{Log: log, TLS: secure.ServerConfig(cert, nil), Admit: func(p *Peer) error {
		proofs = append(proofs, p.Hello.Auth.Proof)
		rights, answer, err := keys.Admit("", p.Hello.Auth.Proof, p.TLS)
		if rights == 0 {
			return errors.Join(err, errors.New("wrong token"))
		}
		p.Answer = answer
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- recv.Run(ctx, ln) }()
	for _, token := range []string{testToken, testToken + "x"} {
		s := NewSender(SenderConfig{Address: ln.Addr().String(), Session: 1, Name: "cam", Token: token, Log: log, Retry: time.Second,
			TLS: secure.ClientConfig("127.0.0.1", nil, nil, nil), State: func() wire.StateText { return wire.StateText{} }})
		s.End()
		if err := s.Run(ctx); err != nil && strings.Contains(err.Error(), testToken) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
	cancel()
	<-done
	mu.Lock()
	defer mu.Unlock()
	if len(proofs) != 2 || text.Len() == 0 {
		t.Fatalf("%d proofs, log:\n%s", len(proofs), &text)
	}
	for _, secret := range append(proofs, testToken, keys.SendToken(), keys.ViewToken()) {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, &text)
		}
	}
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

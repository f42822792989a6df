package stream

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/internal/secure"
	"framepipe/wire"
)

func hits(r *Receiver, name string) uint64 {
	for _, l := range r.Limits() {
		if l.Name == name {
			return l.Hits
		}
	}
	panic(name)
}

// 10,000 connections that say nothing: only so many are held, memory stays, and a
// camera that is connected goes on.
func TestTenThousandConnections(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	s := dialFake(t, r.addr, func() frame.SenderTime { return frame.SenderNow() })
	s.hello("cam")
	go func() {
		for s.answer() != 0 {
		}
	}()
	f := r.feed("cam")
	runtime.GC()
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	const all, atOnce = 10_000, 200
	goroutines := 0
	for range all / atOnce {
		var open []net.Conn
		for range atOnce {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
		}
		goroutines = max(goroutines, runtime.NumGoroutine())
		for _, c := range open {
			c.Close()
		}
	}
	runtime.ReadMemStats(&during)
	if grown := int64(during.HeapInuse) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if most := 4*r.recv.cfg.MaxConns + 50; goroutines > most {
		t.Errorf("%d goroutines, want %d at most", goroutines, most)
	}
	if hits(r.recv, "max-connections") == 0 {
		t.Error("no connection was refused")
	}
	s.frame(testJPEG(), frame.SenderNow())
	eventually(t, "the camera's frame", func() bool { return f.Meter.Ledger().Delivered == 1 })
}

// Slow-loris: whoever drips bytes is cut off, before and in the handshake, with
// and without TLS, and counted.
func TestPeersThatDripAreCutOff(t *testing.T) {
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plain := ReceiverConfig{Timeout: time.Second, Handshake: time.Second}
	tlsOnly := plain
	tlsOnly.TLS = secure.ServerConfig(cert, nil)
	hello := append(wire.Preamble[:], (&wire.Hello{Version: 1, Session: 1}).Append(nil, 1000)...)
	for name, tc := range map[string]struct {
		cfg   ReceiverConfig
		begin []byte
		limit string
	}{
		"silent":                 {plain, nil, "handshake-timeout"},
		"in a v1 hello":          {plain, hello, "handshake-timeout"},
		"in a v0 frame":          {plain, append(wire.AppendV0(nil, 1<<20), 0xff, 0xd8), "idle-timeout"},
		"silent where TLS is":    {tlsOnly, nil, "handshake-timeout"},
		"in a ClientHello":       {tlsOnly, []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc}, "handshake-timeout"},
		"v1 in the clear at TLS": {tlsOnly, hello, "handshake-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, tc.cfg)
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.Write(tc.begin)
			var wg sync.WaitGroup
			stop := make(chan struct{})
			wg.Go(func() {
				for len(tc.begin) > 0 {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
						c.Write([]byte{0})
					}
				}
			})
			c.SetReadDeadline(time.Now().Add(15 * time.Second))
			_, err = io.Copy(io.Discard, c)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("it is still connected")
			}
			close(stop)
			wg.Wait()
			c.Close()
			eventually(t, tc.limit, func() bool { return hits(r.recv, tc.limit) == 1 })
		})
	}
}

// Names and comments from cameras reach no path, no HTML and no terminal as they came.
func TestHostileNames(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{MaxCameras: 20})
	names := 0
	for _, name := range []string{"../../etc/passwd", `..\..\x`, "<script>alert(1)</script>", "\x1b]0;owned\x07", "a\nb", "%2e%2e%2f", "/", ".", "..", strings.Repeat("x", 5000), "\u202egnp.exe", "CON:"} {
		s := dialFake(t, r.addr, func() frame.SenderTime { return frame.SenderNow() })
		s.hello(name)
		if name == "." || name == ".." { // the camera before has the same name, and does not answer
			s.conn.Close()
			continue
		}
		names++
		if n := len(r.recv.Feeds()); n != names {
			t.Fatalf("%q: %d cameras", name, n)
		}
	}
	for _, f := range r.recv.Feeds() {
		n := f.Name()
		if n == "" || len(n) > 60 || strings.HasPrefix(n, ".") || strings.ContainsFunc(n, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
		}) {
			t.Errorf("name %q", n)
		}
	}
	if got := printable([]byte("a\x1b[2J\u009b2J\r\nb\xff")); strings.ContainsAny(got, "\x1b\u009b\r\n") {
		t.Errorf("%q", got)
	}
}

package web

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/internal/secure"
	"framepipe/stream"
)

// What comes over real connections, in the clear and over TLS, is counted whoever refuses
// it: we, or net/http, which tells nobody. What is in order counts nothing.
func TestLargeAndSlowRequestsAreCounted(t *testing.T) {
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	head := func(n int) string {
		return "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + strings.Repeat("a", n) + "\r\n\r\n"
	}
	const fine = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	const post = "POST /experiments/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
	cases := []struct {
		name  string
		say   []string // each waits for an answer but the last
		drip  bool     // then go on, a byte each now and then
		last  string   // begins the last answer; "" = there is none
		count string   // what is counted once; "" = nothing
	}{
		{"in order, thrice", []string{fine, fine, post + "2\r\n\r\n{}"}, false, "HTTP/1.1 4", ""},
		{"kept open for nothing", []string{fine}, true, "HTTP/1.1 200", ""},
		{"a head that we refuse", []string{head(3000)}, false, "HTTP/1.1 431", "max-header"},
		{"a head that net/http refuses", []string{head(50_000)}, false, "HTTP/1.1 431", "max-header"},
		{"such a head as the second one", []string{fine, head(50_000)}, false, "HTTP/1.1 431", "max-header"},
		{"a head without end", []string{strings.TrimRight(head(50_000), "\r\n")}, false, "HTTP/1.1 431", "max-header"},
		{"a body that is too large", []string{post + "5000\r\n\r\n" + strings.Repeat("{", 5000)}, false, "HTTP/1.1 413", "max-body"},
		{"nothing", nil, false, "", "header-timeout"},
		{"half a head", []string{fine[:20]}, true, "HTTP/1.1 408", "header-timeout"},
		{"half a head as the second one", []string{fine, fine[:20]}, true, "HTTP/1.1 408", "header-timeout"},
		{"half a body", []string{post + "900\r\n\r\n{\"plan\":\""}, true, "HTTP/1.1 408", "body-timeout"},
		{"half a body that nobody asked for", []string{"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n"}, true, "HTTP/1.1 200", "body-timeout"},
	}
	for _, secured := range []bool{false, true} {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s/tls=%v", c.name, secured), func(t *testing.T) {
				t.Parallel()
				const limit = 2 * time.Second
				conns := &Conns{MaxHeader: 2000, MaxBody: 1000, HeaderTime: limit, BodyTime: limit}
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				srv := &http.Server{Handler: New(Config{Cameras: stream.NewReceiver(stream.ReceiverConfig{}), Conns: conns}), IdleTimeout: limit / 2, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
				var cfg *tls.Config
				if secured {
					cfg = secure.ServerConfig(cert, nil)
				}
				done := make(chan error, 1)
				served := conns.Serve(srv, ln, cfg)
				go func() { done <- srv.Serve(served) }()
				defer func() { srv.Close(); <-done }()
				raw, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer raw.Close()
				_ = raw.SetDeadline(time.Now().Add(30 * time.Second))
				conn := raw
				if secured && c.say != nil {
					conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
				}
				in := bufio.NewReader(conn)
				last := ""
				var dripping sync.WaitGroup
				over := make(chan struct{})
				for i, s := range c.say {
					_, _ = io.WriteString(conn, s) // it may be refused before its end
					if i == len(c.say)-1 {
						break
					}
					a, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, a.Body)
				}
				if c.drip && c.count != "" {
					dripping.Go(func() {
						for {
							select {
							case <-over:
								return
							case <-time.After(limit / 5):
								_, _ = io.WriteString(conn, "a")
							}
						}
					})
				}
				line, _ := in.ReadString('\n')
				last = line
				rest, _ := io.ReadAll(in) // until it is closed, by it or for it
				close(over)
				dripping.Wait()
				if last == "" && c.last != "" || !strings.HasPrefix(last, c.last) {
					t.Errorf("it answers %q %q", last, rest)
				}
				if c.last == "HTTP/1.1 408" && !strings.Contains(string(rest), c.count) {
					t.Errorf("it does not say why: %q", rest)
				}
				conn.Close()
				for range 2000 { // the server's end of it is told a moment later
					if conns.Count() == 0 {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
				for _, l := range conns.Limits() {
					want := uint64(0)
					if l.Name == c.count {
						want = 1
					}
					if l.Hits != want {
						t.Errorf("%s was counted %d times, want %d", l.Name, l.Hits, want)
					}
				}
			})
		}
	}
}

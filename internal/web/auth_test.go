package web

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"framepipe/internal/secure"
	"framepipe/stream"
)

const testToken = "correct-horse-battery-staple"

// guarded is a server with a token, that has one camera, and what it logged.
func guarded(t *testing.T) (*Server, *secure.Keys, *strings.Builder) {
	t.Helper()
	keys, err := secure.NewKeys(testToken)
	if err != nil {
		t.Fatal(err)
	}
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	if _, _, err := recv.Local("door"); err != nil {
		t.Fatal(err)
	}
	log := new(strings.Builder)
	return New(Config{Cameras: recv, Guard: &Guard{Keys: keys, Failures: new(secure.Failures), Connect: "framepipe://x@192.0.2.1:1308/y"}, Version: "test",
		Log: slog.New(slog.NewTextHandler(log, nil))}), keys, log
}

// ask sends a request from another machine and returns the answer.
func ask(h http.Handler, method, address string, header map[string]string, body string) *http.Response {
	r := httptest.NewRequest(method, address, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:5555"
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func login(t *testing.T, s http.Handler, token string) (*http.Cookie, *http.Response) {
	t.Helper()
	r := ask(s, "POST", "https://cam:8080/login", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://cam:8080"},
		url.Values{"token": {token}}.Encode())
	for _, c := range r.Cookies() {
		return c, r
	}
	return nil, r
}

func TestWhatATokenAllows(t *testing.T) {
	s, keys, log := guarded(t)
	full, _ := login(t, s, testToken)
	look, _ := login(t, s, keys.ViewToken())
	if full == nil || look == nil || !full.HttpOnly || !full.Secure || full.SameSite != http.SameSiteStrictMode {
		t.Fatalf("cookies %+v, %+v", full, look)
	}
	if c, r := login(t, s, keys.SendToken()); c != nil || r.StatusCode != http.StatusUnauthorized {
		t.Error("a camera's token may look")
	}
	basic := func(token string) string {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth("anybody", token)
		return r.Header.Get("Authorization")
	}
	const change = "/cameras/door/control"
	for _, tc := range []struct {
		name, method, path string
		header             map[string]string
		want               int
	}{
		{"nothing", "GET", "/cameras", nil, 401},
		{"nothing, a picture", "GET", "/snapshot", nil, 401},
		{"nothing, a browser", "GET", "/", map[string]string{"Accept": "text/html,*/*"}, 303},
		{"nothing, what needs nothing", "GET", "/healthz", nil, 200},
		{"nothing, is it ready", "GET", "/readyz", nil, 200},
		{"nothing, is a camera ready", "GET", "/readyz?src=door", nil, 401},
		{"nothing, figures", "GET", "/metrics", nil, 401},
		{"token in the address", "GET", "/cameras?token=" + testToken, nil, 401},
		{"wrong bearer", "GET", "/cameras", map[string]string{"Authorization": "Bearer nope"}, 401},
		{"bearer", "GET", "/cameras", map[string]string{"Authorization": "Bearer " + testToken}, 200},
		{"basic", "GET", "/cameras", map[string]string{"Authorization": basic(testToken)}, 200},
		{"basic, for viewing", "GET", "/cameras", map[string]string{"Authorization": basic(keys.ViewToken())}, 200},
		{"a camera's token", "GET", "/cameras", map[string]string{"Authorization": basic(keys.SendToken())}, 403},
		{"cookie", "GET", "/cameras", map[string]string{"Cookie": "framepipe=" + full.Value}, 200},
		{"damaged cookie", "GET", "/cameras", map[string]string{"Cookie": "framepipe=" + full.Value[:20] + string(full.Value[20]^1) + full.Value[21:]}, 401},
		{"viewer changes", "POST", change, map[string]string{"Cookie": "framepipe=" + look.Value, "Content-Type": "application/json"}, 403},
		{"viewer asks for the connect string", "GET", "/connect", map[string]string{"Cookie": "framepipe=" + look.Value}, 403},
		{"a stranger asks for their rights", "GET", "/me", nil, 401},
		{"connect string", "GET", "/connect", map[string]string{"Cookie": "framepipe=" + full.Value}, 200},
		{"its picture", "GET", "/connect.png", map[string]string{"Cookie": "framepipe=" + full.Value}, 200},
		{"CSRF by a form", "POST", change, map[string]string{"Cookie": "framepipe=" + full.Value, "Content-Type": "application/x-www-form-urlencoded"}, 415},
		{"CSRF by fetch", "POST", change, map[string]string{"Cookie": "framepipe=" + full.Value, "Content-Type": "application/json", "Origin": "https://evil.example"}, 403},
		{"CSRF from a sandbox", "POST", change, map[string]string{"Cookie": "framepipe=" + full.Value, "Content-Type": "application/json", "Origin": "null"}, 403},
	} {
		s.cfg.Guard.Failures = new(secure.Failures) // of each case, its own
		r := ask(s, tc.method, "https://cam:8080"+tc.path, tc.header, "{}")
		if r.StatusCode != tc.want {
			b, _ := io.ReadAll(r.Body)
			t.Errorf("%s: %d %s, want %d", tc.name, r.StatusCode, b, tc.want)
		}
		h := r.Header
		if h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: headers %v", tc.name, h)
		}
		if strings.Contains(h.Get("Location"), "token") {
			t.Errorf("%s: the token goes on to %s", tc.name, h.Get("Location"))
		}
	}
	for who, want := range map[string]string{look.Value: `"may_change": false`, full.Value: `"may_change": true`} {
		b, err := io.ReadAll(ask(s, "GET", "https://cam:8080/me", map[string]string{"Cookie": "framepipe=" + who}, "").Body)
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("rights are %s, want %s; %v", b, want, err)
		}
	}
	for _, secret := range []string{testToken, keys.SendToken(), keys.ViewToken(), full.Value} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
}

// Who guesses is slowed down, alone, and whoever has a cookie is not kept out.
func TestGuessingIsSlowedDown(t *testing.T) {
	s, _, _ := guarded(t)
	cookie, _ := login(t, s, testToken)
	codes := map[int]int{}
	for range 40 {
		codes[ask(s, "GET", "https://cam/cameras", map[string]string{"Authorization": "Bearer guess"}, "").StatusCode]++
	}
	if codes[401] < 4 || codes[401] > 12 || codes[429] < 28 {
		t.Errorf("40 guesses: %v", codes)
	}
	if c, r := login(t, s, testToken); c != nil || r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" {
		t.Errorf("the right token behind guesses: %d", r.StatusCode)
	}
	if r := ask(s, "GET", "https://cam/cameras", map[string]string{"Cookie": "framepipe=" + cookie.Value}, ""); r.StatusCode != 200 {
		t.Errorf("with a cookie: %d", r.StatusCode)
	}
	r := httptest.NewRequest("GET", "https://cam/cameras", nil)
	r.RemoteAddr = "192.0.2.8:1"
	r.Header.Set("Authorization", "Bearer "+testToken)
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("another address: %d", w.Code)
	}
}

func TestTokensDoNotComeInTheClear(t *testing.T) {
	s, _, _ := guarded(t)
	r := ask(s, "GET", "http://cam:8080/cameras?a=b", nil, "")
	if r.StatusCode != http.StatusPermanentRedirect || r.Header.Get("Location") != "https://cam:8080/cameras?a=b" {
		t.Errorf("%d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	auth := map[string]string{"Authorization": "Bearer " + testToken}
	if r := ask(s, "GET", "http://cam:8080/cameras", auth, ""); r.StatusCode != http.StatusForbidden {
		t.Errorf("a token in the clear: %d", r.StatusCode)
	}
	s.cfg.Guard.Plain = true
	if r := ask(s, "GET", "http://cam:8080/cameras", auth, ""); r.StatusCode != 200 {
		t.Errorf("with --http-plain: %d", r.StatusCode)
	}
}

// Without a token, the names that a stranger can point here are not answered to.
func TestDNSRebindingIsRefused(t *testing.T) {
	s := New(Config{Cameras: stream.NewReceiver(stream.ReceiverConfig{}), AllowHosts: []string{"cam.example.org"}})
	for host, want := range map[string]int{"192.168.1.5:8080": 200, "[fe80::1]:8080": 200, "localhost": 200, "raspberrypi": 200, "pi.local:8080": 200, "cam.example.org": 200,
		"evil.example": 421, "evil.example:8080": 421, "192.168.1.5.evil.example": 421, "cam.example.org.evil.example": 421, "local.": 200, "x.localhost.evil.example.": 421} {
		r := httptest.NewRequest("GET", "/cameras", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

// One port speaks https and http; a WebSocket goes over TLS, to our own page alone.
func TestTLSAndClearOnOnePort(t *testing.T) {
	s, keys, _ := guarded(t)
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(SpeakTLS(ln, secure.ServerConfig(cert, nil), nil)) }()
	defer func() { srv.Close(); <-done }()
	addr := ln.Addr().String()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for _, scheme := range []string{"http", "https"} {
		r, err := http.NewRequest("GET", scheme+"://"+addr+"/cameras", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("viewer", keys.ViewToken())
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != 200 || (a.TLS != nil) != (scheme == "https") {
			t.Errorf("%s: %d", scheme, a.StatusCode)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for origin, ok := range map[string]bool{"https://" + addr: true, "https://evil.example": false, "null": false} {
		c, _, err := websocket.Dial(ctx, "wss://"+addr+"/cameras/door/ws", &websocket.DialOptions{HTTPClient: client,
			HTTPHeader: http.Header{"Origin": {origin}, "Authorization": {"Bearer " + keys.ViewToken()}}})
		if (err == nil) != ok {
			t.Errorf("WebSocket of %s: %v", origin, err)
		}
		if err == nil {
			if _, b, err := c.Read(ctx); err != nil || !strings.Contains(string(b), "door") {
				t.Errorf("first message %q, %v", b, err)
			}
			c.CloseNow()
		}
	}
}

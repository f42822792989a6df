package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/internal/record"
	"framepipe/stream"
	"framepipe/wire"
)

// fuzzed is a server with one camera that takes settings, and recordings beside
// which a secret lies.
func fuzzed(tb testing.TB, set func(wire.Settings)) http.Handler {
	tb.Helper()
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	sink, _, err := recv.Local("door")
	if err != nil {
		tb.Fatal(err)
	}
	sink.SetControl(func(_ context.Context, s wire.Settings) wire.StateText {
		set(s)
		return wire.StateText{}
	})
	dir := tb.TempDir()
	for name, text := range map[string]string{"secret": secretText, "recordings/a.mkv": "video", "recordings/notes.txt": secretText} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "recordings", "link.mkv")); err != nil {
		tb.Fatal(err)
	}
	return New(Config{Cameras: recv, Recorder: &record.Manager{Dir: filepath.Join(dir, "recordings")}, Version: "test"})
}

const secretText = "nobody is to read this"

// tryOut asks, for a moment: streams do not end by themselves.
func tryOut(h http.Handler, method, target, host, body string, headers map[string]string) *httptest.ResponseRecorder {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, "/", strings.NewReader(body))
	r.Host = host
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL, r.RequestURI = u, target
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Requests to change settings: what is taken is what the text says, and everything
// else is refused without a panic.
func FuzzControl(f *testing.F) {
	for _, s := range []string{`{"quality":60}`, `{"mode":"continuous","controls":{"brightness":3}}`, `{"quality":60}{}`, `{"quality":1e99}`, `{"unknown":1}`, `[]`, `null`, "{\"policy\":\"ack=2\"}"} {
		f.Add(s, "application/json")
	}
	f.Add(`{"quality":60}`, "text/plain")
	applied := 0
	h := fuzzed(f, func(wire.Settings) { applied++ })
	f.Fuzz(func(t *testing.T, body, contentType string) {
		before := applied
		w := tryOut(h, "POST", "/cameras/door/control", "127.0.0.1", body, map[string]string{"Content-Type": contentType})
		if ok := w.Code == 200; ok != (applied == before+1) || w.Code >= 500 {
			t.Errorf("%q: status %d, applied %d times", body, w.Code, applied-before)
		}
		if w.Code == 200 && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "application/json") {
			t.Errorf("taken as %q", contentType)
		}
	})
}

// Paths, queries, hosts: nothing outside of the recordings is given out.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"/", "/cameras", "/cameras/door/state?viewer=1", "/recordings/a.mkv", "/recordings/../secret", "/recordings/%2e%2e%2fsecret", "/recordings/..%5csecret", "/recordings/notes.txt", "/recordings/link.mkv",
		"/recordings/a.mkv%00.mkv", "/assets/../web.go", "/assets/%2e%2e/%2e%2e/secret", "/?action=snapshot_99999999999999999999", "/cameras/door/history?after=-1", "/cameras/%2e%2e/state", "//secret", "/connect", "/api/frame.jpeg?src=../../x"} {
		f.Add(s, "127.0.0.1")
	}
	f.Add("/", "evil.example")
	f.Add("/", "[::1]:8080")
	h := fuzzed(f, func(wire.Settings) {})
	f.Fuzz(func(t *testing.T, target, host string) {
		w := tryOut(h, "GET", target, host, "", nil)
		if strings.Contains(w.Body.String(), secretText) {
			t.Errorf("%q gives what it must not", target)
		}
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%q: status %d: %s", target, w.Code, w.Body)
		}
		for k, v := range w.Header() {
			if strings.ContainsAny(strings.Join(append(v, k), ""), "\r\n") {
				t.Errorf("%q: header %q: %q", target, k, v)
			}
		}
	})
}

package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"framepipe/stream"
)

// What a request may bring is bounded, counted, and said.
func TestRequestsAreBounded(t *testing.T) {
	conns := &Conns{MaxHeader: 2000, MaxBody: 1000}
	s := New(Config{Cameras: stream.NewReceiver(stream.ReceiverConfig{}), Conns: conns})
	s.mux.HandleFunc("POST /read", func(w http.ResponseWriter, r *http.Request) {
		var v struct{ Camera string }
		if body(w, r, &v) {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	ask := func(header, body string, length int64) (int, string) {
		r := httptest.NewRequest("POST", "http://localhost/read", strings.NewReader(body))
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Long", header)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	long := `{"camera":"` + strings.Repeat("a", 1000) + `"}`
	for name, c := range map[string]struct {
		header, body string
		length       int64
		code         int
		says         string
	}{
		"fits":            {"a", "{}", 2, 204, ""},
		"a long head":     {strings.Repeat("a", 2000), "{}", 2, 431, "2000 bytes (--max-header)"},
		"a long body":     {"a", long, int64(len(long)), 413, "1000 bytes (--max-body)"},
		"without lengths": {"a", long, -1, 413, "1000 bytes (--max-body)"},
	} {
		code, text := ask(c.header, c.body, c.length)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	hits := map[string]uint64{}
	for _, l := range conns.Limits() {
		hits[l.Name] = l.Hits
	}
	if hits["max-header"] != 1 || hits["max-body"] != 2 {
		t.Errorf("counted %v", hits)
	}
}

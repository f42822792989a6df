package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"

	"framepipe/frame"
	"framepipe/stream"
	"framepipe/wire"
)

func scrape(t *testing.T, src Source, accept string) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	Handler(src).ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// What a peer says of itself becomes labels: whatever it is, the answer stays valid.
func TestHostileTexts(t *testing.T) {
	recv := stream.NewReceiver(stream.ReceiverConfig{MaxCameras: 2})
	cam, _, err := recv.Local("door\"\n\xff{}")
	if err != nil {
		t.Fatal(err)
	}
	cam.SetState(wire.StateText{Codec: "\xff\xfe\"\\\n# EOF", Policy: strings.Repeat("ä", 500), Mode: strings.Repeat("x", 99) + "ä"}, "")
	b := frame.New(make([]byte, 10), nil)
	b.Meta.Counts.Offered = 1
	cam.Put(b)
	for _, accept := range []string{"text/plain", "application/openmetrics-text; version=1.0.0"} {
		out := scrape(t, Source{Feeds: recv.Feeds}, accept)
		for _, want := range []string{`framepipe_camera_connected{camera="door`, `codec="?\"\\\n# EOF"`, `policy="` + strings.Repeat("ä", 50) + `"`, `mode="` + strings.Repeat("x", 99) + `"`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", accept, want, out)
			}
		}
		if got := strings.HasSuffix(out, "\n# EOF\n") || strings.HasSuffix(out, "\n# EOF"); got != strings.HasPrefix(accept, "application") {
			t.Errorf("%s: ends with # EOF: %v", accept, got)
		}
	}
}

// As many series as --max-cameras allows, however many cameras come and go.
func TestSeriesAreBounded(t *testing.T) {
	lines := func(cameras int) int {
		recv := stream.NewReceiver(stream.ReceiverConfig{MaxCameras: 3})
		for range cameras {
			if _, _, err := recv.Local("door"); err != nil && cameras <= 3 {
				t.Fatal(err)
			}
		}
		return strings.Count(scrape(t, Source{Feeds: recv.Feeds}, ""), "\nframepipe_")
	}
	one, three, many := lines(1), lines(3), lines(50)
	if three <= one || many != three {
		t.Errorf("%d, %d and %d series of 1, 3 and 50 cameras where 3 are allowed", one, three, many)
	}
}

package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"
)

func TestProfiles(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said strings.Builder
	err := (&cli.Command{Flags: []cli.Flag{profileFlag()}, Action: func(_ context.Context, c *cli.Command) error {
		wait, err := profiles(ctx, c, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(said.String(), "http://")
		url, _, _ := strings.Cut("http://"+rest, "\"")
		r, err := http.Get(url + "goroutine?debug=1")
		if err != nil {
			return err
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || !strings.Contains(string(b), "TestProfiles") {
			t.Errorf("status %d: %.200s", r.StatusCode, b)
		}
		for path, want := range map[string]int{"": 200, "heap?gc=1": 200, "profile?seconds=0.1": 200, "trace?seconds=0.1": 200, "profile?seconds=x": 400, "nothing": 404} {
			r, err := http.Get(url + path)
			if err != nil {
				return err
			}
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if r.StatusCode != want || len(b) == 0 {
				t.Errorf("%q: status %d, %d bytes, want status %d", path, r.StatusCode, len(b), want)
			}
			if want == 200 && path != "" && path != "trace?seconds=0.1" && string(b[:2]) != "\x1f\x8b" {
				t.Errorf("%q: no profile (gzip) but %.10q", path, b)
			}
		}
		req, _ := http.NewRequest("GET", url, nil)
		req.Host = "evil.example:6060" // a name that somebody made point here
		r, err = http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		r.Body.Close()
		if r.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("a strange name gets status %d", r.StatusCode)
		}
		cancel()
		wait()
		if _, err := http.Get(url); err == nil {
			t.Error("profiles are served after the end")
		}
		return nil
	}}).Run(ctx, []string{"x", "--pprof", "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
}

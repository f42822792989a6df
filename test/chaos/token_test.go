//go:build linux

package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Who guesses tokens at the camera port or at the page's is slowed down, on both ports
// together; who knows it and came before goes on. The token is in nobody's log, however
// it was shown: in an address, in a Referer, in a cookie.
func TestGuessesAndTokensInLogs(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-twenty-letters"
	a := attack(t, "--token", token, "--state", t.TempDir(), "--log-level", "debug", "--max-log-lines", "10000")
	good := launch(t, nil, "", "send", "--source", "pattern", "--name", "good", "--warmup", "0s", "--token", token, "--log-level", "debug", a.tcp)
	connected := regexp.MustCompile(`camera connected: camera good,`)
	eventually(t, "the good camera", func() bool { return connected.MatchString(a.recv.stderr()) }, a.recv.stderr)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(path string, header ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequest("GET", "https://"+a.http+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		for k, v := range resp.Header {
			if strings.Contains(strings.Join(v, " "), token) {
				t.Errorf("%s: %s says %q", path, k, v)
			}
		}
		return resp.StatusCode, string(b)
	}
	for _, header := range [][]string{nil, {"Referer", "https://" + a.http + "/?token=" + token}, {"Cookie", "framepipe=" + token}, {"Accept", "text/html"}} {
		for _, path := range []string{"/?token=" + token, "/cameras?token=" + token + "#" + token, "/nowhere/" + token, "/cameras/" + token + "/state", "/login?next=" + token} {
			if status, body := ask(path, header...); status == 200 && !strings.HasPrefix(path, "/login") || strings.Contains(body, token) {
				t.Errorf("%s with %q: %d %s", path, header, status, body)
			}
		}
	}
	if status, _ := ask("/cameras", "Authorization", "Bearer "+token); status != 200 {
		t.Errorf("with the token: %d", status)
	}

	said := func(p *process) string { <-p.done; return p.stderr() }
	wrong, later := 0, 0
	began := time.Now()
	for i := range 8 {
		p := launch(t, nil, "", "send", "--source", "pattern", "--name", "bad", "--warmup", "0s", "--for", "500ms", "--token", "a-wrong-token-of-many-letters"[:20+i], "--connect-retry", "1s", a.tcp)
		text := said(p)
		switch {
		case strings.Contains(text, "too many wrong tokens"):
			later++
		case strings.Contains(text, "wrong token"):
			wrong++
		default:
			t.Errorf("a wrong token: %s", text)
		}
	}
	if most := 5 + int(time.Since(began)/(2*time.Second)) + 1; wrong > most || later == 0 && wrong == 8 && most < 8 {
		t.Errorf("%d guesses in %v, %d put off", wrong, time.Since(began), later)
	}
	for range 10 { // at once: no time to be forgiven much
		ask("/cameras", "Authorization", "Bearer nope")
	}
	if status, body := ask("/cameras", "Authorization", "Bearer nope"); status != http.StatusTooManyRequests || !strings.Contains(body, "too many wrong tokens") {
		t.Errorf("a guess at the page: %d %s", status, body)
	}
	if good.ended() || strings.Count(a.recv.stderr(), "camera connected: camera good,") != 1 {
		t.Errorf("the good camera suffered: %s", good.stderr())
	}
	for name, text := range map[string]string{"receive": a.recv.stderr() + a.recv.stdout(), "send": good.stderr() + good.stdout()} {
		if len(text) == 0 || strings.Contains(text, token) {
			t.Errorf("the token is in what %s says, or it says nothing:\n%s", name, text)
		}
	}
}

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/wire"
)

// attacked is a receiver with one good camera, both processes of their own.
type attacked struct {
	*testing.T
	recv, send *process
	tcp, http  string
}

func attack(t *testing.T, args ...string) *attacked {
	t.Helper()
	a := &attacked{T: t}
	a.recv = launch(t, nil, "", append([]string{"receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--record-length", "1s", "--announce", ""}, args...)...)
	find := func(pattern string) (found string) {
		re := regexp.MustCompile(pattern)
		eventually(t, pattern, func() bool {
			m := re.FindStringSubmatch(a.recv.stderr())
			if m != nil {
				found = m[1]
			}
			return m != nil
		}, a.recv.stderr)
		return found
	}
	a.tcp, a.http = find(`waiting for cameras on (\S+)`), find(`the page is at https?://(\S+)/`)
	return a
}

// camera starts the good one and waits for its pictures.
func (a *attacked) camera(args ...string) {
	a.Helper()
	a.send = launch(a.T, nil, "", append(append([]string{"send", "--source", "pattern", "--name", "good", "--warmup", "0s"}, args...), a.tcp)...)
	a.pictures()
}

func (a *attacked) get(path string) (int, []byte) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + a.http + path)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, b
}

// pictures waits for a new picture of the good camera.
func (a *attacked) pictures() {
	a.Helper()
	eventually(a.T, "pictures of the good camera", func() bool {
		status, _ := a.get("/cameras/good/snapshot")
		return status == 200
	}, a.recv.stderr)
}

// memory is a process's resident memory, and the most it ever was, in bytes.
func memory(t *testing.T, p *process) (now, most int64) {
	t.Helper()
	for line := range strings.Lines(readFile(fmt.Sprintf("/proc/%d/status", p.pid()))) {
		var n int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &n); err == nil {
			now = n << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &n); err == nil {
			most = n << 10
		}
	}
	if now == 0 {
		t.Fatalf("%s does not run: %s", p.what, p.stderr())
	}
	return now, most
}

// Slow-loris on the page's port: whoever drips a request's head or its body is cut
// off, while the camera's picture goes on.
func TestPageCutsOffWhoDrips(t *testing.T) {
	t.Parallel()
	a := attack(t, "--header-timeout", "2s", "--body-timeout", "2s")
	a.camera()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for name, begin := range map[string]string{
		"head":    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
		"no line": "G",
		"body":    "POST /cameras/good/control HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{\"quality\":",
		"chunks":  "POST /cameras/good/control HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"unasked": "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200000\r\n\r\n",
		"login":   "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\ntoken=",
	} {
		for range 5 {
			wg.Go(func() {
				c, err := net.Dial("tcp", a.http)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				fmt.Fprint(c, begin)
				began, gone := time.Now(), make(chan struct{})
				go func() {
					defer close(gone)
					_, _ = io.Copy(io.Discard, c)
				}()
				for {
					select {
					case <-gone:
						return
					case <-time.After(200 * time.Millisecond):
						_, _ = c.Write([]byte(" "))
					}
					if time.Since(began) > 2*patience {
						mu.Lock()
						t.Errorf("%s: still connected after %v", name, 2*patience)
						mu.Unlock()
						return
					}
				}
			})
		}
	}
	a.pictures()
	wg.Wait()
	a.pictures()
	if _, most := memory(t, a.recv); most > 200<<20 {
		t.Errorf("it took %d MB", most>>20)
	}
	if hits := a.hits("http"); hits["header-timeout"] != 10 || hits["body-timeout"] != 20 || hits["max-header"] != 0 {
		t.Errorf("counted %v", hits)
	}
}

// hits is how often each limit of a port was reached.
func (a *attacked) hits(port string) map[string]uint64 {
	a.Helper()
	var all map[string]json.RawMessage
	var limits []struct {
		Name string
		Hits uint64
	}
	_, b := a.get("/limits")
	if err := json.Unmarshal(b, &all); err != nil {
		a.Fatalf("/limits: %v: %s", err, b)
	}
	if err := json.Unmarshal(all[port], &limits); err != nil || len(limits) == 0 {
		a.Fatalf("/limits: %v: %s", err, b)
	}
	hits := make(map[string]uint64)
	for _, l := range limits {
		hits[l.Name] = l.Hits
	}
	return hits
}

// Ten thousand connections to the page's port, a flood of headers from each fourth: no more than the limit are held, the
// rest costs nothing, and a viewer who was there before goes on seeing.
func TestTenThousandConnectionsToThePage(t *testing.T) {
	t.Parallel()
	a := attack(t, "--max-viewers", "200")
	a.camera()
	idle, _ := memory(t, a.recv)
	viewer, err := http.Get("http://" + a.http + "/cameras/good/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Body.Close()
	seen := bufio.NewReader(viewer.Body)
	var wg sync.WaitGroup
	next := make(chan int, 64)
	flood := "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + strings.Repeat("X-Flood: "+strings.Repeat("a", 1000)+"\r\n", 2000) // of headers
	for range 250 {
		wg.Go(func() {
			for i := range next {
				c, err := net.DialTimeout("tcp", a.http, patience)
				if err != nil {
					continue // the backlog is full
				}
				if begin := [...]string{"", "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", flood}[i%4]; begin != "" {
					_, _ = io.WriteString(c, begin)
				}
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_, _ = io.CopyN(io.Discard, c, 100)
				c.Close()
			}
		})
	}
	for i := range 10_000 {
		next <- i
	}
	close(next)
	wg.Wait()
	for range 20 { // lines of a stream that is alive
		if _, err := seen.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull {
			t.Fatalf("the viewer was cut off: %v", err)
		}
	}
	viewer.Body.Close()
	a.pictures()
	if _, most := memory(t, a.recv); most > 2*idle+32<<20 {
		t.Errorf("%d MB idle, %d MB under attack", idle>>20, most>>20)
	}
	if hits := a.hits("http"); hits["max-viewers"] == 0 || hits["max-header"] == 0 {
		t.Errorf("connections or headers were not refused: %v", hits)
	}
}

// Paths that lead out of the folders: sent as they are, past what clients clean.
func TestPathsLeadNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recordings := filepath.Join(dir, "recordings")
	if err := os.Mkdir(recordings, 0o777); err != nil {
		t.Fatal(err)
	}
	const secret = "nobody is to read this"
	for _, name := range []string{filepath.Join(dir, "secret"), filepath.Join(dir, "secret.mkv"), filepath.Join(recordings, "notes.txt")} {
		if err := os.WriteFile(name, []byte(secret), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret.mkv"), filepath.Join(recordings, "link.mkv")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(recordings, "fine.mkv"), []byte("a video"), 0o666); err != nil {
		t.Fatal(err)
	}
	a := attack(t, "--record-dir", recordings)
	raw := func(target string) string {
		c, err := net.Dial("tcp", a.http)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", target)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		b, _ := io.ReadAll(c)
		return string(b)
	}
	if got := raw("/recordings/fine.mkv"); !strings.Contains(got, "200 OK") || !strings.Contains(got, "a video") {
		t.Fatalf("a recording is not given: %s", got)
	}
	for _, base := range []string{"/recordings/", "/assets/", "/cameras/", "/"} {
		for _, path := range []string{"../secret", "../secret.mkv", "..%2fsecret.mkv", "%2e%2e/secret.mkv", "%2e%2e%2fsecret.mkv", "..%5csecret.mkv", "..\\secret.mkv", "....//secret.mkv", "%252e%252e%252fsecret.mkv",
			"./../secret.mkv", "fine.mkv/../../secret.mkv", "fine.mkv%00.mkv", "notes.txt", "link.mkv", ".", "..", dir + "/secret.mkv", "%2f" + dir[1:] + "/secret.mkv", "..;/secret.mkv", "\xc0\xae\xc0\xae/secret.mkv"} {
			got := raw(base + path)
			if strings.Contains(got, secret) || strings.Contains(got, "500 ") || base == "/recordings/" && strings.HasPrefix(got, "HTTP/1.1 200") && path != "." && path != ".." && path != "./../secret.mkv" {
				t.Errorf("%s%s: %s", base, path, got)
			}
		}
	}
	for _, target := range []string{"http://127.0.0.1/recordings/../../secret.mkv", "//recordings/../secret.mkv", "*", "recordings/fine.mkv"} {
		if got := raw(target); strings.Contains(got, secret) || strings.Contains(got, "500 ") {
			t.Errorf("%s: %s", target, got)
		}
	}
}

// Comments in JPEGs, and names, that mean harm to a page or a terminal: they are in
// the pictures, which are given as pictures, and nowhere else.
func TestCommentsOfPictures(t *testing.T) {
	t.Parallel()
	const html, ansi = `<script>alert("comment")</script>`, "\x1b]0;owned\x07\x1b[2J"
	cam := &camera{network: func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }, change: func(p []byte) []byte {
		text := html + ansi + "\r\nSet-Cookie: x=y\r\n\r\n"
		com := append([]byte{0xff, 0xfe}, binary.BigEndian.AppendUint16(nil, uint16(len(text)+2))...)
		return append(append(append(append([]byte{}, p[:2]...), com...), text...), p[2:]...)
	}}
	if err := cam.plug(320, 240); err != nil {
		t.Fatal(err)
	}
	defer cam.away()
	a := attack(t, "--log-level", "debug")
	send := launch(t, nil, "", "send", "--source", "http://"+cam.addr+"/", "--name", html+ansi, "--warmup", "0s", "--log-level", "debug", a.tcp)
	first := func() (b []byte, h http.Header) {
		resp, err := http.Get("http://" + a.http + "/snapshot")
		if err != nil {
			return nil, nil
		}
		defer resp.Body.Close()
		b, _ = io.ReadAll(resp.Body)
		return b, resp.Header
	}
	eventually(t, "a picture with the comment", func() bool { b, _ := first(); return bytes.Contains(b, []byte(html)) }, a.recv.stderr)
	if _, h := first(); h.Get("Content-Type") != "image/jpeg" || h.Get("X-Content-Type-Options") != "nosniff" || len(h.Values("Set-Cookie")) > 0 {
		t.Errorf("a picture's headers: %v", h)
	}
	texts := map[string]string{"receive": a.recv.stderr() + a.recv.stdout(), "send": send.stderr()}
	for _, path := range []string{"/", "/cameras", "/state", "/records", "/cameras/" + html + "/state", "/limits", "/metrics", "/recordings", "/?action=" + ansi} {
		_, b := a.get(strings.NewReplacer(" ", "%20", "\x1b", "%1b", "\x07", "%07", "<", "%3c", ">", "%3e", `"`, "%22").Replace(path))
		texts[path] = string(b)
	}
	for what, text := range texts {
		if strings.Contains(text, "<script>alert") || strings.ContainsAny(text, "\x1b\x07") || strings.Contains(text, "owned") && strings.Contains(text, "Set-Cookie") {
			t.Errorf("%s has it: %q", what, text)
		}
	}
}

// hostilePictures are JPEGs that are meant to cost.
func hostilePictures(t *testing.T) [][]byte {
	t.Helper()
	good, err := pictures(320, 240)
	if err != nil {
		t.Fatal(err)
	}
	p := good[0]
	sof := bytes.Index(p, []byte{0xff, 0xc0})
	size := func(h, w uint16) []byte {
		b := append([]byte{}, p...)
		binary.BigEndian.PutUint16(b[sof+5:], h)
		binary.BigEndian.PutUint16(b[sof+7:], w)
		return b
	}
	all := [][]byte{size(65535, 65535), size(65535, 1), size(1, 65535), size(0, 0), size(10_000, 10_000), size(9000, 9000)}
	// Thousands of scans, baseline and progressive, each over the whole picture.
	sos := bytes.Index(p, []byte{0xff, 0xda})
	for _, kind := range []byte{0xc0, 0xc2} {
		b := append([]byte{}, p[:sos]...)
		b[sof+1] = kind
		binary.BigEndian.PutUint16(b[sof+5:], 4000)
		binary.BigEndian.PutUint16(b[sof+7:], 4000)
		n := int(binary.BigEndian.Uint16(p[sos+2:]))
		scan := append(append([]byte{}, p[sos:sos+2+n]...), 0, 0)
		b = append(append(b, bytes.Repeat(scan, 5000)...), 0xff, 0xd9)
		all = append(all, b)
	}
	for n := range p[:min(len(p), 1500)] { // cut off at every byte of what is no picture data, and beyond
		all = append(all, p[:n])
	}
	return append(all, bytes.Repeat([]byte{0xff, 0xd8}, 50_000), append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff}, 100_000)...))
}

// The corpus on the camera port, as v0 and v1: memory and time are bounded, and the
// good camera's pictures go on.
func TestHostilePicturesToTheReceiver(t *testing.T) {
	t.Parallel()
	const maxFrame = 4 << 20
	a := attack(t, "--max-frame", fmt.Sprint(maxFrame))
	a.camera()
	idle, _ := memory(t, a.recv)
	all := hostilePictures(t)
	began := time.Now()
	say := func(begin []byte, frame func(i int, p []byte) []byte) {
		var c net.Conn
		for i, p := range all {
			for try := 0; ; try++ {
				if c == nil {
					var err error
					if c, err = net.Dial("tcp", a.tcp); err != nil {
						t.Fatal(err)
					}
					go io.Copy(io.Discard, c)
					_, _ = c.Write(begin)
				}
				if _, err := c.Write(frame(i, p)); err == nil || try > 1 {
					break
				}
				c.Close()
				c = nil
			}
		}
		c.Close()
	}
	say(nil, func(_ int, p []byte) []byte { return append(wire.AppendV0(nil, uint32(len(p))), p...) })
	say(hello(), func(i int, p []byte) []byte { return v1Frame(uint64(i+1), p) })
	// Lengths that are announced, and not kept; the largest frame that is allowed.
	for range 30 {
		c, err := net.Dial("tcp", a.tcp)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(wire.AppendV0(nil, maxFrame))
		defer c.Close()
	}
	c, err := net.Dial("tcp", a.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(append(wire.AppendV0(nil, maxFrame), make([]byte, maxFrame)...))
	a.pictures()
	took := time.Since(began)
	_, most := memory(t, a.recv)
	t.Logf("%d pictures twice in %v; %.1f MB idle, %.1f MB at most", len(all), took.Round(time.Millisecond), float64(idle)/1e6, float64(most)/1e6)
	if most > 2*idle+maxFrame {
		t.Errorf("%d bytes idle, %d under attack: more than twice that and a frame of %d", idle, most, maxFrame)
	}
	if took > 3*patience {
		t.Errorf("it took %v", took)
	}
}

// The corpus from a camera whose pictures the sender has to decode, without lengths
// in its multipart, and with a flood of headers.
func TestHostilePicturesToTheSender(t *testing.T) {
	t.Parallel()
	all := hostilePictures(t)
	a := attack(t)
	for _, manner := range []string{"without lengths", "a flood of headers", "a length that lies"} {
		t.Run(manner, func(t *testing.T) {
			sent, done := 0, make(chan struct{})
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			good, err := pictures(320, 240)
			if err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
				part := func(p []byte) bool {
					head := "--frame\r\nContent-Type: image/jpeg\r\n"
					switch manner {
					case "a flood of headers":
						head += strings.Repeat("X-Flood: "+strings.Repeat("a", 1000)+"\r\n", 200)
					case "a length that lies":
						head += "Content-Length: 1099511627776\r\n"
					}
					_, err := fmt.Fprintf(w, "%s\r\n%s\r\n", head, p)
					return err == nil && http.NewResponseController(w).Flush() == nil
				}
				for i := range 30 { // first it behaves
					if !part(good[i%len(good)]) {
						return
					}
					time.Sleep(30 * time.Millisecond)
				}
				for ; sent < len(all); sent++ {
					if !part(all[sent]) {
						return
					}
				}
				once.Do(func() { close(done) })
				for i := 0; part(good[i%len(good)]); i++ { // and again
					time.Sleep(30 * time.Millisecond)
				}
			})}
			go func() { _ = srv.Serve(ln) }()
			defer srv.Close()
			send := launch(t, nil, "", "send", "--source", "http://"+ln.Addr().String()+"/", "--format", "yuv", "--name", "bad", "--warmup", "0s", a.tcp)
			eventually(t, "its good pictures", func() bool { s, _ := a.get("/cameras/bad/snapshot"); return s == 200 }, send.stderr)
			idle, _ := memory(t, send)
			began := time.Now()
			select {
			case <-done:
			case <-send.done:
				t.Fatalf("it ended: %v %s", send.err, send.stderr())
			case <-time.After(3 * patience):
				t.Fatalf("after %v it has taken %d of %d pictures", 3*patience, sent, len(all))
			}
			eventually(t, "its good pictures again", func() bool { s, _ := a.get("/cameras/bad/snapshot"); return s == 200 }, send.stderr)
			_, most := memory(t, send)
			t.Logf("%d pictures in %v; %.1f MB idle, %.1f MB at most", len(all), time.Since(began).Round(time.Millisecond), float64(idle)/1e6, float64(most)/1e6)
			if budget := 2*idle + 32<<20; most > budget { // a frame of at most 32 MiB
				t.Errorf("%d bytes idle, %d under attack", idle, most)
			}
			send.kill()
		})
	}
}

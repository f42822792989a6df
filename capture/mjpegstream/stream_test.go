package mjpegstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
)

func jpegs(t testing.TB, n int) [][]byte {
	t.Helper()
	enc := mjpeg.NewEncoder()
	var out [][]byte
	for i := range n {
		f := frame.New(bytes.Repeat([]byte{byte(10 * i)}, 48*32), nil)
		f.Format, f.Width, f.Height = frame.GREY, 48, 32
		b, err := enc.Encode(nil, f, 80)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// check looks at the ledger and returns the frame's payload.
func check(t testing.TB, f *frame.Frame, returned uint64) []byte {
	t.Helper()
	if f.Counts.Offered != f.Seq || f.Seq-1-f.Counts.LostTotal() != returned || f.Captured == 0 || f.Dequeued < f.Captured || f.StampKind != frame.StampArrival {
		t.Errorf("after %d frames: %+v", returned, f.Meta)
	}
	b := bytes.Clone(f.Data)
	f.Release()
	return b
}

func TestRegularFileIsReadWithoutLoss(t *testing.T) {
	pics := jpegs(t, 20)
	for _, mode := range []capture.Mode{capture.Sequence, capture.Continuous} {
		path := filepath.Join(t.TempDir(), "a.mjpeg")
		if err := os.WriteFile(path, bytes.Join(pics, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c, err := openFile(file, "-", capture.Config{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range pics {
			f, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(check(t, f, uint64(i)), want) {
				t.Errorf("frame %d differs", i)
			}
		}
		for range 2 {
			if _, err := c.Next(t.Context()); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		}
		if info := c.Info(); info.Width != 48 || info.Height != 32 || info.Format != "jpeg" {
			t.Errorf("%+v", info)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if c.pool.Out() != 0 {
			t.Errorf("%d frames leaked", c.pool.Out())
		}
	}
}

func pipe(t *testing.T, cfg capture.Config) (*camera, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := openFile(r, "-", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); r.Close(); w.Close() })
	return c, w
}

// settle waits until the reader has numbered n frames.
func settle(t *testing.T, c *camera, n uint64) {
	t.Helper()
	for range 2000 {
		if c.slot.Seq() >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("only %d frames were read, want %d", c.slot.Seq(), n)
}

func TestPipeKeepsTheNewest(t *testing.T) {
	pics := jpegs(t, 12)
	c, w := pipe(t, capture.Config{})
	write := func(from, to int) {
		t.Helper()
		if _, err := w.Write(bytes.Join(pics[from:to], nil)); err != nil {
			t.Fatal(err)
		}
		settle(t, c, uint64(to))
	}
	next := func(want int, returned uint64) {
		t.Helper()
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Seq != uint64(want+1) || f.Counts.Lost[frame.LostEncoderBusy] != uint64(want)-returned {
			t.Errorf("%+v, want frame %d", f.Meta, want+1)
		}
		if !bytes.Equal(check(t, f, returned), pics[want]) {
			t.Errorf("not picture %d", want)
		}
	}
	write(0, 1)
	next(0, 0)
	write(1, 5)
	next(4, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with nothing to read: %v", err)
	}
	write(5, 12)
	w.Close()
	next(11, 2) // the last one, although the end was read behind it
	if _, err := c.Next(t.Context()); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestContinuousTakesOneFromAfterTheCall(t *testing.T) {
	pics := jpegs(t, 4)
	c, w := pipe(t, capture.Config{Mode: capture.Continuous})
	w.Write(bytes.Join(pics[:3], nil))
	settle(t, c, 3)
	got := make(chan *frame.Frame)
	go func() {
		f, _ := c.Next(context.Background())
		got <- f
	}()
	// Nobody can see when the call has begun, so pictures are sent until one was late
	// enough for it.
	for range 1000 {
		w.Write(pics[3])
		select {
		case f := <-got:
			if f == nil || f.Seq < 4 || f.Counts.Lost[frame.LostEncoderBusy] != f.Seq-1 {
				t.Errorf("%+v", f)
			} else if !bytes.Equal(check(t, f, 0), pics[3]) {
				t.Error("an old picture")
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("no frame")
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	c, _ := pipe(t, capture.Config{})
	ended := make(chan error)
	go func() { ended <- c.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for ever")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		spec string
		cfg  capture.Config
	}{
		{"-", capture.Config{Port: capture.Still}}, {"-", capture.Config{Controls: map[string]int64{"gain": 1}}},
		{"http://u:secret@/", capture.Config{}}, {"http://u:secret@h:99999999/", capture.Config{}}, {"http://u:secret@%zz/", capture.Config{}},
	} {
		cam, err := Open(t.Context(), c.spec, c.cfg)
		if err == nil {
			cam.Close()
			t.Errorf("%s accepted", c.spec)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(capture.Hint(err), "secret") {
			t.Errorf("password in %q", err)
		}
	}
}

// server serves what write writes as one endless response.
func server(t *testing.T, contentType string, write func(w io.Writer, flush func(), r *http.Request)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusOK)
		write(w, func() { w.(http.Flusher).Flush() }, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

var short = timeouts{dial: 5 * time.Second, headers: 5 * time.Second, first: 5 * time.Second, stall: 5 * time.Second}

// The dialects of servers that people have. Each sends three pictures, one at a
// time, waiting until the last one was taken.
func TestDialects(t *testing.T) {
	pics := jpegs(t, 3)
	for _, d := range []struct {
		name, contentType string
		part              func(w io.Writer, b []byte)
	}{
		{"mjpg-streamer", "multipart/x-mixed-replace;boundary=boundarydonotcross", func(w io.Writer, b []byte) {
			fmt.Fprintf(w, "Content-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: 12.345678\r\n\r\n%s\r\n--boundarydonotcross\r\n", len(b), b)
		}},
		{"ustreamer", "multipart/x-mixed-replace;boundary=boundarydonotcross", func(w io.Writer, b []byte) {
			fmt.Fprintf(w, "--boundarydonotcross\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: 1.2\r\nX-UStreamer-Online: true\r\n\r\n%s\r\n", len(b), b)
		}},
		{"ESP32-CAM", "multipart/x-mixed-replace;boundary=123456789000000000000987654321", func(w io.Writer, b []byte) {
			fmt.Fprintf(w, "\r\n--123456789000000000000987654321\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: 1.000002\r\n\r\n%s", len(b), b)
		}},
		{"go2rtc", "multipart/x-mixed-replace; boundary=frame", func(w io.Writer, b []byte) {
			fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(b), b)
		}},
		{"dashes in the parameter", "multipart/x-mixed-replace; boundary=--myboundary", func(w io.Writer, b []byte) {
			fmt.Fprintf(w, "--myboundary\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n", b)
		}},
		{"no length, line feeds only", `multipart/x-mixed-replace; boundary="b"`, func(w io.Writer, b []byte) { fmt.Fprintf(w, "--b\nContent-type: image/jpeg\n\n%s\n", b) }},
		{"wrong length", "multipart/x-mixed-replace; boundary=b", func(w io.Writer, b []byte) {
			fmt.Fprintf(w, "--b\r\nContent-Length: 9999999999999999999\r\n\r\n%s\r\n", b)
		}},
		{"raw MJPEG", "video/x-motion-jpeg", func(w io.Writer, b []byte) { w.Write(b) }},
		{"no type", "", func(w io.Writer, b []byte) { w.Write(b) }},
	} {
		t.Run(d.name, func(t *testing.T) {
			taken := make(chan struct{})
			addr := server(t, d.contentType, func(w io.Writer, flush func(), _ *http.Request) {
				for _, b := range pics {
					d.part(w, b)
					flush()
					<-taken
				}
			})
			c, err := openHTTPWithin(t.Context(), addr+"/?action=stream", capture.Config{}, short)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i, want := range pics {
				f, err := c.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(check(t, f, uint64(i)), want) {
					t.Errorf("picture %d differs", i)
				}
				taken <- struct{}{}
			}
			if _, err := c.Next(t.Context()); !errors.Is(err, capture.ErrGone) {
				t.Errorf("when the server hangs up: %v", err)
			}
		})
	}
}

func TestMissingEndMarkerIsCutAtTheBoundary(t *testing.T) {
	pics := jpegs(t, 2)
	cut := pics[0][:len(pics[0])-2]
	addr := server(t, "multipart/x-mixed-replace; boundary=frame", func(w io.Writer, flush func(), r *http.Request) {
		fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n", cut)
		w.Write(pics[1][:100])
		flush()
		<-r.Context().Done()
	})
	c, err := openHTTPWithin(t.Context(), addr, capture.Config{}, short)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.Data, cut) {
		t.Errorf("%q at the end", f.Data[len(f.Data)-20:])
	}
	f.Release()
}

func TestBasicAuthAndSecrets(t *testing.T) {
	pics := jpegs(t, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "joe" || p != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="cam"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write(pics[0])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	c, err := openHTTPWithin(t.Context(), "http://joe:s3cret@"+host+"/v?token=t0ken&action=stream", capture.Config{}, short)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	_, err = c.Next(t.Context())
	if !errors.Is(err, capture.ErrGone) {
		t.Error(err)
	}
	_, wrong := openHTTPWithin(t.Context(), "http://joe:s3cretX@"+host+"/?token=t0ken", capture.Config{}, short)
	if !capture.IsConfig(wrong) {
		t.Errorf("wrong password: %v", wrong)
	}
	for _, s := range []string{fmt.Sprintf("%+v", c.Info()), err.Error(), wrong.Error()} {
		if strings.Contains(s, "s3cret") || strings.Contains(s, "joe") || strings.Contains(s, "t0ken") {
			t.Errorf("secret in %q", s)
		}
	}
}

func TestServersThatAreNoCameras(t *testing.T) {
	status := func(code int, h http.Header) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for k, v := range h {
				w.Header()[k] = v
			}
			w.WriteHeader(code)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	endless := server(t, "multipart/x-mixed-replace; boundary=b", func(w io.Writer, _ func(), r *http.Request) {
		line := []byte("X-Header: " + strings.Repeat("a", 64<<10) + "\r\n")
		for range 2000 { // more than a frame may have
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	silent := server(t, "multipart/x-mixed-replace; boundary=b", func(_ io.Writer, flush func(), r *http.Request) {
		flush()
		<-r.Context().Done()
	})
	quick := short
	quick.first = 300 * time.Millisecond
	stall := short
	stall.stall = 300 * time.Millisecond
	for _, c := range []struct {
		name, addr string
		limit      timeouts
		config     bool
		gone       bool
	}{
		{"404", status(404, nil), short, true, false},
		{"503", status(503, nil), short, false, true},
		{"401 digest", status(401, http.Header{"Www-Authenticate": {`Digest realm="x"`}}), short, true, false},
		{"web page", status(200, http.Header{"Content-Type": {"text/html"}}), short, true, false},
		{"refused", closed, short, false, true},
		{"endless headers", endless, short, false, false},
		{"silent", silent, quick, false, true},
		{"stalled", silent, stall, false, true},
		{"ended at once", server(t, "image/jpeg", func(io.Writer, func(), *http.Request) {}), short, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cam, err := openHTTPWithin(t.Context(), c.addr, capture.Config{}, c.limit)
			if err == nil {
				cam.Close()
				t.Fatal("opened")
			}
			if capture.IsConfig(err) != c.config || errors.Is(err, capture.ErrGone) != c.gone {
				t.Errorf("%v: config %v, gone %v; want %v, %v", err, capture.IsConfig(err), errors.Is(err, capture.ErrGone), c.config, c.gone)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := openHTTPWithin(ctx, silent, capture.Config{}, short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
}

func FuzzCutAtBoundary(f *testing.F) {
	f.Add([]byte("\xff\xd8data\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n"), []byte("frame"))
	f.Fuzz(func(t *testing.T, b, boundary []byte) {
		if out := cutAtBoundary(b, boundary); !bytes.HasPrefix(b, out) {
			t.Error("not a beginning of it")
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("http://user:passw0rd@host/path?x=passw0rd")
	f.Fuzz(func(t *testing.T, s string) {
		// Whatever stands before the @ makes no difference.
		before, after, found := strings.Cut(strings.TrimPrefix(s, "http://"), "@")
		if !found || !strings.HasPrefix(s, "http://") || strings.ContainsAny(before, "/?#") || strings.Contains(after, "@") {
			return
		}
		if u, err := url.Parse(s); err != nil || u.User == nil {
			return
		}
		if a, b := redact(s), redact("http://"+after); a != b {
			t.Errorf("%q is shown as %q, without the secret as %q", s, a, b)
		}
	})
}

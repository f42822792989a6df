package clients

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/capture/pattern/timecode"
	"framepipe/frame"
)

// snapshot fetches a picture and reads its time code.
func snapshot(t *testing.T, url string) (number uint32, at frame.SenderTime) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(b)) {
		t.Fatalf("%s: %s, %d bytes of %d, %v", url, resp.Status, len(b), resp.ContentLength, err)
	}
	ts, err := strconv.ParseFloat(resp.Header.Get("X-Timestamp"), 64)
	if age := time.Since(time.UnixMicro(int64(ts * 1e6))); err != nil || age < 0 || age > time.Minute {
		t.Errorf("X-Timestamp %q", resp.Header.Get("X-Timestamp"))
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	number, at, ok := timecode.ReadCode(luma(img))
	if !ok {
		t.Fatalf("%s: the code cannot be read", url)
	}
	return number, at
}

func luma(m image.Image) (b []byte, w, h, stride int) {
	w, h = m.Bounds().Dx(), m.Bounds().Dy()
	b = make([]byte, w*h)
	for y := range h {
		for x := range w {
			b[y*w+x] = color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y
		}
	}
	return b, w, h, w
}

// A snapshot shows a tick of the camera after the request: its time code, on this
// machine's one clock, says so.
func TestSnapshotsAreFresh(t *testing.T) {
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "10")
	p.picture()
	var last uint32
	for _, path := range []string{"snapshot", "snapshot.jpg", "cameras/pattern/snapshot", "?action=snapshot", "?action=snapshot_0", "webcam/?action=snapshot", "api/frame.jpeg?src=pattern"} {
		asked := frame.SenderNow()
		n, at := snapshot(t, p.page+path)
		if at < timecode.Truncate(asked) || n <= last {
			t.Errorf("%s shows frame %d of %v before the request, after frame %d", path, n, asked.Sub(at), last)
		}
		last = n
	}
}

// curl keeps one connection for many snapshots, asks with HEAD, and reads parts with
// their lengths.
func TestCurl(t *testing.T) {
	need(t, "curl", "curl")
	ranWith(t, "curl", "connect/README.md", "curl", "--version")
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30", "--allow-origin", "https://printer.example")
	p.picture()
	dir := t.TempDir()
	out := run(t, "curl", "-sSfv", "--stderr", "-", "-o", filepath.Join(dir, "a.jpg"), p.page+"snapshot", "-o", filepath.Join(dir, "b.jpg"), p.page+"?action=snapshot")
	if !strings.Contains(out, "Re-using existing") || !strings.Contains(out, "Content-Length: ") || !strings.Contains(out, "X-Timestamp: ") {
		t.Errorf("curl says:\n%s", out)
	}
	for _, path := range []string{"snapshot", "stream", "?action=stream", "state", "cameras", "stream.mjpg", ""} {
		head := run(t, "curl", "-sSfI", p.page+path)
		if !strings.HasPrefix(head, "HTTP/1.1 200") {
			t.Errorf("HEAD /%s: %s", path, head)
		}
	}
	// The stream: lengths and stamps, first part at once.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	parts, _ := exec.CommandContext(ctx, "curl", "-sS", "--max-time", "2", p.page+"stream").Output() // ends by its own clock
	re := regexp.MustCompile(`--framepipe-boundary\r\nContent-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: \d+\.\d{6}\r\n\r\n`)
	heads := re.FindAllSubmatchIndex(parts, -1)
	if len(heads) < 10 {
		t.Fatalf("%d parts in 2 s", len(heads))
	}
	for _, h := range heads[:len(heads)-1] {
		n, _ := strconv.Atoi(string(parts[h[2]:h[3]]))
		if _, err := jpeg.DecodeConfig(bytes.NewReader(parts[h[1]:])); err != nil || !bytes.HasPrefix(parts[h[1]+n:], []byte("\r\n--framepipe-boundary")) {
			t.Fatalf("a part of %d bytes: %v", n, err)
		}
	}
	early, _ := exec.CommandContext(ctx, "curl", "-sS", "--max-time", "1", "-H", "Sec-Fetch-Dest: image", p.page+"stream").Output()
	if n := bytes.Count(early, []byte("Content-Type: image/jpeg\r\n\r\n")); n < 5 || !bytes.HasSuffix(early, []byte("\r\n\r\n")) {
		t.Errorf("to an <img>, %d early headers; the end is %q", n, early[max(0, len(early)-40):])
	}
	// Who may read, from which pages.
	if out := run(t, "curl", "-sSfI", "-H", "Origin: https://printer.example", p.page+"snapshot"); !strings.Contains(out, "Access-Control-Allow-Origin: https://printer.example") {
		t.Error(out)
	}
	if out := run(t, "curl", "-sSf", "-o", "/dev/null", "-w", "%{http_code}", "-X", "OPTIONS", "-H", "Origin: https://printer.example", "-H", "Access-Control-Request-Method: GET", p.page+"stream"); out != "204" {
		t.Errorf("preflight: %s", out)
	}
	for _, c := range []struct{ want, method, path, body string }{
		{"404", "GET", "cameras/nobody/stream", ""}, {"404", "GET", "cameras/..%2f..%2fetc/state", ""}, {"404", "GET", "cameras/%00/snapshot", ""},
		{"404", "GET", "nothing", ""}, {"404", "GET", "?action=snapshot_7", ""}, {"400", "GET", "?action=dance", ""}, {"400", "GET", "?action=stream_x", ""},
		{"405", "POST", "stream", "{}"}, {"405", "DELETE", "cameras/pattern/control", ""},
		{"400", "POST", "cameras/pattern/control", "{"}, {"400", "POST", "cameras/pattern/control", `{"qualty":3}`}, {"400", "POST", "cameras/pattern/control", `{"quality":"x"}`}, {"400", "POST", "cameras/pattern/control", `{"quality":5000}`},
		{"413", "POST", "cameras/pattern/control", `{"mode":"` + strings.Repeat("x", 100<<10) + `"}`},
	} {
		args := []string{"-sS", "--path-as-is", "-w", "\n%{http_code}", "-X", c.method, "-H", "Content-Type: application/json"}
		if c.body != "" {
			args = append(args, "--data-binary", c.body)
		}
		out := run(t, "curl", append(args, p.page+c.path)...)
		if !strings.HasSuffix(out, "\n"+c.want) {
			t.Errorf("%s /%s %.40s: %.300s, want %s", c.method, c.path, c.body, out, c.want)
		}
		if c.path == "cameras/nobody/stream" && !strings.Contains(out, "pattern") {
			t.Errorf("an unknown camera's answer does not name the ones there are: %s", out)
		}
	}
}

func TestUstreamersState(t *testing.T) {
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30")
	p.picture()
	var st struct {
		OK     bool
		Result struct {
			Encoder struct{ Quality int }
			Source  struct {
				Resolution  struct{ Width, Height int }
				Online      bool
				CapturedFPS float64 `json:"captured_fps"`
			}
			Stream struct {
				Clients int
				Stat    map[string]struct {
					FPS     uint   `json:"fps"`
					Advance bool   `json:"advance_headers"`
					Key     string `json:"key"`
				} `json:"clients_stat"`
			}
		}
	}
	for end := time.Now().Add(patience); st.Result.Source.CapturedFPS == 0 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		p.get("state", &st)
	}
	if r := st.Result; !st.OK || !r.Source.Online || r.Source.Resolution.Width != 320 || r.Source.Resolution.Height != 240 || r.Source.CapturedFPS == 0 || r.Encoder.Quality != 85 || r.Stream.Clients != 0 || r.Stream.Stat == nil {
		t.Errorf("%+v", st)
	}

	// A client finds its own entry by the cookie, as PiKVM's page does, and no longer
	// when it has left.
	resp, err := http.Get(p.page + "stream?key=mine&advance_headers=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	id := ""
	for _, c := range resp.Cookies() {
		if c.Name == "stream_client" {
			_, id, _ = strings.Cut(c.Value, "mine/")
		}
	}
	ended := make(chan struct{})
	go func() { // reads until it is closed
		defer close(ended)
		io.Copy(io.Discard, resp.Body)
	}()
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: client %q, %+v", what, id, st.Result.Stream)
			}
			st.Result.Stream.Stat = nil
			p.get("state", &st)
		}
	}
	until("its frame rate", func() bool { c := st.Result.Stream.Stat[id]; return c.FPS > 5 && c.Advance && c.Key == "mine" })
	if st.Result.Stream.Clients != 1 {
		t.Errorf("%+v", st.Result.Stream)
	}
	resp.Body.Close()
	<-ended
	until("it left", func() bool { return st.Result.Stream.Clients == 0 && len(st.Result.Stream.Stat) == 0 })
}

func TestFFmpeg(t *testing.T) {
	need(t, "ffmpeg", "ffmpeg")
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30")
	p.picture()
	for _, path := range []string{"stream", "?action=stream", "stream?early=1"} {
		out := run(t, "ffprobe", "-v", "error", "-f", "mpjpeg", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", p.page+path)
		if strings.TrimSpace(out) != "mjpeg,320,240" {
			t.Errorf("ffprobe /%s: %s", path, out)
		}
		file := filepath.Join(t.TempDir(), "f.gray")
		run(t, "ffmpeg", "-v", "error", "-f", "mpjpeg", "-i", p.page+path, "-frames:v", "10", "-f", "rawvideo", "-pix_fmt", "gray", file)
		b, err := os.ReadFile(file)
		if err != nil || len(b) != 10*320*240 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		var last uint32
		for i := range 10 {
			n, _, ok := timecode.ReadCode(b[i*320*240:][:320*240], 320, 240, 320)
			if !ok || n <= last {
				t.Errorf("/%s: frame %d after %d, %v", path, n, last, ok)
			}
			last = n
		}
	}
}

func TestOpenCV(t *testing.T) {
	python := "python3"
	for _, p := range []string{"/usr/bin/python3", "python3"} { // Debian's package is Debian's Python's
		if python = p; exec.Command(p, "-c", "import cv2").Run() == nil {
			break
		}
		python = ""
	}
	if python == "" {
		t.Skip("needs OpenCV (apt-get install python3-opencv)")
	}
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30")
	p.picture()
	script := filepath.Join(t.TempDir(), "look.py")
	if err := os.WriteFile(script, []byte(`import sys, urllib.request, cv2
page, snap = sys.argv[1], sys.argv[2]
c = cv2.VideoCapture(page + "stream.mjpg")
assert c.isOpened()
frames = []
for _ in range(10):
    ok, img = c.read()
    assert ok
    frames.append(img)
assert all(f.shape == (240, 320, 3) for f in frames), frames[0].shape
assert any((a != b).any() for a, b in zip(frames, frames[1:])), "the pictures do not move"
urllib.request.urlretrieve(page + "snapshot.jpg", snap)
img = cv2.imread(snap)
assert img is not None and img.shape == (240, 320, 3)
print("fine")
`), 0o666); err != nil {
		t.Fatal(err)
	}
	if out := run(t, python, script, p.page, filepath.Join(t.TempDir(), "s.jpg")); !strings.Contains(out, "fine") {
		t.Error(out)
	}
}

func TestGStreamer(t *testing.T) {
	need(t, "gst-launch-1.0", "gstreamer1.0-tools")
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30")
	p.picture()
	file := filepath.Join(t.TempDir(), "f.gray")
	run(t, "gst-launch-1.0", "-q", "souphttpsrc", "location="+p.page+"stream", "num-buffers=60", "!", "multipartdemux", "!", "jpegdec", "!", "videoconvert", "!", "video/x-raw,format=GRAY8", "!", "filesink", "location="+file)
	b, err := os.ReadFile(file)
	if err != nil || len(b) < 320*240 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, _, ok := timecode.ReadCode(b[:320*240], 320, 240, 320); !ok {
		t.Error("the first picture's code cannot be read")
	}
}

// Two hundred viewers at once, some of which read nothing: everyone gets pictures,
// and none is left behind when they go.
func TestTwoHundredViewers(t *testing.T) {
	p := start(t, "--source", "pattern", "-W", "160", "-H", "120", "--fps", "10", "--quality", "40")
	p.picture()
	var wg sync.WaitGroup
	errs := make(chan error, 200)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 200 {
		wg.Go(func() {
			errs <- func() error {
				c, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.Trim(strings.TrimPrefix(p.page, "http:"), "/"))
				if err != nil {
					return err
				}
				defer c.Close()
				fmt.Fprintf(c, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
				if i%10 == 0 { // reads nothing
					time.Sleep(time.Second)
					return nil
				}
				c.SetReadDeadline(time.Now().Add(patience))
				var got []byte
				buf := make([]byte, 32<<10)
				for bytes.Count(got, []byte("Content-Length")) < 3 {
					n, err := c.Read(buf)
					if err != nil {
						return err
					}
					got = append(got, buf[:n]...)
				}
				return nil
			}()
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	var st struct{ Viewers int }
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if p.get("state", &st); st.Viewers == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d viewers are left", st.Viewers)
		}
	}
	p.picture()
}

// Without a camera, auto says what to do.
func TestAutoWithoutACamera(t *testing.T) {
	if files, _ := filepath.Glob("/dev/video*"); len(files) > 0 {
		t.Skip("this machine has a camera")
	}
	out, err := exec.Command(binary, "receive", "--source", "auto", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "pattern") {
		t.Errorf("%v: %s", err, out)
	}
}

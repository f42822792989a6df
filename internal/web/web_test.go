package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"framepipe/camera"
	"framepipe/capture"
	"framepipe/capture/pattern"
	"framepipe/capture/pattern/timecode"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/stream"
	"framepipe/wire"
)

// serve runs a receiver with synthetic cameras of this machine behind a server.
func serve(t *testing.T, cams map[string]capture.Config) (string, *stream.Receiver) {
	t.Helper()
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	var done []chan error
	for _, name := range []string{"door", "roof"} {
		cfg, ok := cams[name]
		if !ok {
			continue
		}
		sink, _, err := recv.Local(name)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.FPS == 0 {
			cfg.FPS = 30
		}
		cam := camera.New(camera.Config{Source: "pattern", Capture: cfg, Open: pattern.Open})
		sink.SetControl(func(ctx context.Context, set wire.Settings) wire.StateText {
			if err := cam.Apply(ctx, set); err != nil {
				return wire.StateText{Error: err.Error()}
			}
			return wire.StateText{Quality: cam.State().Quality}
		})
		ended := make(chan error, 1)
		done = append(done, ended)
		go func() { ended <- cam.Run(ctx, sink) }()
	}
	s := httptest.NewServer(New(Config{Cameras: recv, Version: "test"}))
	t.Cleanup(func() {
		cancel()
		for _, c := range done {
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL, recv
}

func one(format frame.FourCC) map[string]capture.Config {
	return map[string]capture.Config{"door": {Width: 320, Height: 240, Format: format}}
}

var client = &http.Client{Timeout: 30 * time.Second}

func get(t *testing.T, url string) (*http.Response, []byte) {
	t.Helper()
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, b
}

// number reads the frame number out of a picture.
func number(t *testing.T, b []byte) uint64 {
	t.Helper()
	luma, w, h, err := mjpeg.NewDecoder(mjpeg.Limits{}).Decode(nil, b, frame.GREY)
	if err != nil {
		t.Fatal(err)
	}
	n, _, ok := timecode.ReadCode(luma, w, h, w)
	if !ok {
		t.Fatal("the picture's code cannot be read")
	}
	return uint64(n)
}

func TestEveryAddressThatClientsUse(t *testing.T) {
	url, _ := serve(t, map[string]capture.Config{
		"door": {Width: 320, Height: 240, Format: frame.JPEG}, "roof": {Width: 160, Height: 120, Format: frame.JPEG}})
	for _, tc := range []struct {
		path  string
		width int // of the camera that must answer
	}{
		{"/cameras/door/stream", 320}, {"/cameras/roof/stream", 160}, {"/stream", 320}, {"/stream.mjpg", 320}, {"/?action=stream", 320},
		{"/?action=stream_1", 160}, {"/webcam/?action=stream", 320}, {"/webcam2/?action=stream", 160}, {"/api/stream.mjpeg?src=roof", 160}, {"/stream?early=1", 320},
	} {
		t.Run(tc.path, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", url+tc.path, nil)
			r, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			typ, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || typ != "multipart/x-mixed-replace" {
				t.Fatalf("content type %q, %v", r.Header.Get("Content-Type"), err)
			}
			parts := multipart.NewReader(r.Body, params["boundary"])
			var last uint64
			for i := range 4 {
				p, err := parts.NextPart()
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(p)
				if err != nil {
					t.Fatal(err)
				}
				early := strings.Contains(tc.path, "early") && i > 0
				if n := p.Header.Get("Content-Length"); !early && n != strconv.Itoa(len(b)) {
					t.Errorf("part %d: Content-Length %q, %d bytes came", i, n, len(b))
				}
				if ts, err := strconv.ParseFloat(p.Header.Get("X-Timestamp"), 64); !early && (err != nil || time.Since(time.UnixMicro(int64(ts*1e6))).Abs() > time.Minute) {
					t.Errorf("part %d: X-Timestamp %q", i, p.Header.Get("X-Timestamp"))
				}
				h, err := mjpeg.Header(b)
				if err != nil || h.Width != tc.width {
					t.Fatalf("part %d: %d pixels wide, %v; want %d", i, h.Width, err, tc.width)
				}
				if tc.width == 320 {
					if n := number(t, b); n <= last {
						t.Errorf("frame %d after %d", n, last)
					} else {
						last = n
					}
				}
			}
		})
	}
	for _, path := range []string{"/snapshot", "/snapshot.jpg", "/?action=snapshot", "/webcam/?action=snapshot", "/api/frame.jpeg?src=door", "/cameras/door/snapshot"} {
		r, b := get(t, url+path)
		if _, err := jpeg.Decode(bytes.NewReader(b)); err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "image/jpeg" || r.ContentLength != int64(len(b)) {
			t.Errorf("%s: status %d, %s, length %d of %d, %v", path, r.StatusCode, r.Header.Get("Content-Type"), r.ContentLength, len(b), err)
		}
	}
}

// A snapshot is of after the request: its number is above that of the newest
// frame that was there when it was asked for.
func TestSnapshotIsFresh(t *testing.T) {
	url, recv := serve(t, map[string]capture.Config{"door": {Width: 320, Height: 240, Format: frame.JPEG, FPS: 5}})
	f := recv.Feed("door")
	for range 4 {
		for f.Meter.Live(frame.ReceiverNow()).Frames == 0 {
			time.Sleep(time.Millisecond)
		}
		before := f.Meter.Live(frame.ReceiverNow()).Seq
		asked := time.Now()
		r, _ := get(t, url+"/snapshot")
		ts, _ := strconv.ParseFloat(r.Header.Get("X-Timestamp"), 64)
		if at := time.UnixMicro(int64(ts * 1e6)); at.Before(asked.Add(-5 * time.Millisecond)) {
			t.Errorf("captured %v before it was asked for (frame before: %d)", asked.Sub(at), before)
		}
	}
}

func TestRawCamerasAreShownAsJPEG(t *testing.T) {
	for _, format := range []frame.FourCC{frame.I420, frame.RGB24} {
		url, _ := serve(t, one(format))
		_, b := get(t, url+"/snapshot")
		if n := number(t, b); n == 0 {
			t.Errorf("%v: the picture shows frame 0", format)
		}
	}
}

func TestRefusals(t *testing.T) {
	url, _ := serve(t, one(frame.JPEG))
	empty, _ := serve(t, nil)
	for _, tc := range []struct {
		name, method, url, body, contentType, origin string
		status                                       int
		says                                         string
	}{
		{"unknown camera", "GET", url + "/cameras/garden/stream", "", "", "", 404, "there is door"},
		{"camera name with tricks", "GET", url + "/cameras/..%2f..%2fetc/state", "", "", "", 404, "there is door"},
		{"no camera yet", "GET", empty + "/stream", "", "", "", 503, "no camera is connected yet"},
		{"unknown action", "GET", url + "/?action=explode", "", "", "", 400, "use stream or snapshot"},
		{"action of camera x", "GET", url + "/?action=stream_x", "", "", "", 400, "must be a number"},
		{"action of camera 7", "GET", url + "/?action=stream_7", "", "", "", 404, "there is door"},
		{"settings as a form", "POST", url + "/cameras/door/control", "quality=1", "application/x-www-form-urlencoded", "", 415, "as JSON"},
		{"settings from another page", "POST", url + "/cameras/door/control", `{"quality":1}`, "application/json", "http://evil.example", 403, "own page"},
		{"settings that are no JSON", "POST", url + "/cameras/door/control", `{"quality":`, "application/json", "", 400, "settings"},
		{"unknown setting", "POST", url + "/cameras/door/control", `{"colour":1}`, "application/json", "", 400, "colour"},
		{"setting out of range", "POST", url + "/cameras/door/control", `{"quality":1000}`, "application/json", "", 400, "quality of 1000"},
		{"settings of a megabyte", "POST", url + "/cameras/door/control", `{"mode":"` + strings.Repeat("x", 1<<20) + `"}`, "application/json", "", 413, "65536 bytes"},
		{"other method", "DELETE", url + "/cameras/door/state", "", "", "", 405, ""},
		{"other path", "GET", url + "/nowhere", "", "", "", 404, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequest(tc.method, tc.url, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.contentType != "" {
				req.Header.Set("Content-Type", tc.contentType)
			}
			if tc.origin != "" {
				req.Header.Set("Origin", tc.origin)
			}
			r, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			b, _ := io.ReadAll(r.Body)
			if r.StatusCode != tc.status || !strings.Contains(string(b), tc.says) {
				t.Errorf("status %d, %q; want %d, %q", r.StatusCode, b, tc.status, tc.says)
			}
		})
	}
}

func TestStateRecordsAndControl(t *testing.T) {
	url, _ := serve(t, one(frame.JPEG))
	get(t, url+"/snapshot") // there is a frame now
	var all []stream.Status
	_, b := get(t, url+"/cameras")
	for range 1000 { // a frame is shown before it is counted
		if !strings.Contains(string(b), `"frames": 0,`) {
			break
		}
		time.Sleep(5 * time.Millisecond)
		_, b = get(t, url+"/cameras")
	}
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 1 || all[0].Name != "door" || all[0].Live.Frames == 0 || all[0].Live.Imbalance != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, b := get(t, url+"/cameras/door/records"); strings.TrimSpace(string(b)) != "[]" {
		t.Errorf("records before any was closed: %s", b)
	}
	r, err := client.Post(url+"/cameras/door/control", "application/json", strings.NewReader(`{"quality":40}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var st wire.StateText
	if err := json.NewDecoder(r.Body).Decode(&st); err != nil || st.Quality != 40 || r.StatusCode != 200 {
		t.Errorf("status %d, %+v, %v", r.StatusCode, st, err)
	}
	if r, b := get(t, url+"/"); r.StatusCode != 200 || !strings.Contains(string(b), "<title>framepipe</title>") || r.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("page: status %d, %d bytes", r.StatusCode, len(b))
	}
	for _, a := range []string{"page.js", "style.css", "icon.svg"} {
		if r, b := get(t, url+"/assets/"+a); r.StatusCode != 200 || len(b) == 0 {
			t.Errorf("%s: status %d", a, r.StatusCode)
		}
	}
	for path, want := range map[string]int{"/readyz": 200, "/readyz?src=door": 200, "/readyz?src=nobody": 503} {
		if r, b := get(t, url+path); r.StatusCode != want {
			t.Errorf("%s: %s %s", path, r.Status, b)
		}
	}
	if _, b := get(t, url+"/healthz"); string(b) != "ok\n" {
		t.Errorf("healthz %q", b)
	}
	h, err := client.Head(url + "/stream")
	if err != nil || h.StatusCode != 200 || !strings.HasPrefix(h.Header.Get("Content-Type"), "multipart/") {
		t.Errorf("HEAD: %v, %v", h, err)
	}
}

// A viewer that reads nothing is given up or passed over; it slows nobody, and
// when it reads again it gets new frames.
func TestStuckViewer(t *testing.T) {
	url, recv := serve(t, one(frame.JPEG))
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(c, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	f := recv.Feed("door")
	for end := time.Now().Add(20 * time.Second); f.Hub.Viewers() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	before := f.Meter.Live(frame.ReceiverNow()).Frames
	for i := range 20 {
		if r, _ := get(t, url+"/snapshot"); r.StatusCode != 200 {
			t.Fatalf("snapshot %d beside a stuck viewer: status %d", i, r.StatusCode)
		}
	}
	if now := f.Meter.Live(frame.ReceiverNow()).Frames; now <= before {
		t.Errorf("the camera stands still: %d frames before, %d now", before, now)
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Error(err)
	}
	c.Close()
	for end := time.Now().Add(20 * time.Second); f.Hub.Viewers() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a viewer that left is still subscribed")
		}
	}
}

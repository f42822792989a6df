package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"framepipe/frame"
	"framepipe/internal/glass"
	"framepipe/internal/web"
	"framepipe/mjpeg"
	"framepipe/stream"
)

// screen starts a display that exists in memory only and returns its name.
func screen(t *testing.T, width, height int) string {
	t.Helper()
	if _, err := exec.LookPath("Xvfb"); err != nil {
		t.Skip("needs Xvfb (apt-get install xvfb)")
	}
	cmd := exec.Command("Xvfb", "-displayfd", "1", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height), "-nolisten", "tcp")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb does not say which display it is: %v", err)
	}
	return ":" + strings.TrimSpace(line)
}

// film grabs a display as a camera would, scaled to width x height divided by
// shrink, and gives each frame to put.
func film(t *testing.T, display string, width, height int, shrink float64, put func(jpeg []byte, at time.Time)) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("needs ffmpeg (apt-get install ffmpeg)")
	}
	w, h := int(float64(width)/shrink)&^1, int(float64(height)/shrink)&^1
	ctx, cancel := context.WithCancel(context.Background())
	// Raw pictures, because ffmpeg's JPEG encoder ends when two grabs have one stamp.
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-fflags", "nobuffer", "-f", "x11grab", "-framerate", "29", "-video_size", fmt.Sprintf("%dx%d", width, height), "-draw_mouse", "0", "-i", display,
		"-fps_mode", "passthrough", "-vf", fmt.Sprintf("scale=%d:%d", w, h), "-pix_fmt", "yuv420p", "-flush_packets", "1", "-f", "rawvideo", "-")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		cmd.Wait()
		if t.Failed() {
			t.Logf("ffmpeg: %s", &complaints)
		}
	})
	go func() {
		defer close(done)
		enc := mjpeg.NewEncoder()
		f := frame.New(make([]byte, w*h*3/2), nil)
		f.Format, f.Width, f.Height = frame.I420, w, h
		for {
			if _, err := io.ReadFull(out, f.Data); err != nil {
				return
			}
			at := time.Now()
			jpeg, err := enc.Encode(nil, f, 75)
			if err != nil {
				t.Error(err)
				return
			}
			put(jpeg, at)
		}
	}()
}

// The loop closed: a browser shows the code, its screen is grabbed, and the pictures
// come in as those of four cameras, each a known time later than the one before. The
// differences are right within one refresh of the screen.
func TestGlassSeesAddedDelay(t *testing.T) {
	const width, height = 960, 600
	display := screen(t, width, height)
	b := chromium(t, chromedp.Flag("headless", false), chromedp.Flag("kiosk", true), chromedp.Flag("enable-automation", false), chromedp.Flag("test-type", true), chromedp.Flag("window-position", "0,0"),
		chromedp.WindowSize(width, height), chromedp.Env("DISPLAY="+display))
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	delays := []int{0, 50, 100, 200}
	type due struct {
		jpeg []byte
		at   time.Time
	}
	var wg sync.WaitGroup
	var queues []chan due
	for _, d := range delays {
		sink, _, err := recv.Local(fmt.Sprintf("d%d", d))
		if err != nil {
			t.Fatal(err)
		}
		q := make(chan due, 100)
		queues = append(queues, q)
		wg.Go(func() {
			var seq uint64
			for f := range q {
				time.Sleep(time.Until(f.at.Add(time.Duration(d) * time.Millisecond)))
				seq++
				fr := frame.New(f.jpeg, nil)
				fr.Seq, fr.Format, fr.Counts.Offered = seq, frame.JPEG, seq
				fr.StampKind, fr.Captured = frame.StampArrival, frame.SenderNow()-frame.SenderTime(time.Since(f.at))
				fr.Dequeued, fr.Encoded = fr.Captured, fr.Captured
				sink.Put(fr)
			}
		})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Handler: web.New(web.Config{Cameras: recv, Version: "test"}), BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		cancel()
		srv.Close()
		<-served
		for _, q := range queues {
			close(q)
		}
		wg.Wait()
	})
	film(t, display, width, height, 1.5, func(jpeg []byte, at time.Time) {
		for _, q := range queues {
			select {
			case q <- due{jpeg, at}:
			default:
			}
		}
	})
	url := "http://" + ln.Addr().String() + "/"
	state := func(d int) (s glass.State) {
		resp, err := http.Get(url + "cameras/d" + strconv.Itoa(d) + "/glass")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		json.NewDecoder(resp.Body).Decode(&s) // before the page came it is none
		return s
	}
	// One page for all: how long a browser takes from painting to the screen may be
	// another number of refreshes when it is loaded anew.
	p := open(t, b, url+"glass", width, height)
	worst := ""
	for try := range 3 {
		if try > 0 {
			p.Do("load anew", chromedp.Navigate(url+"glass"))
			time.Sleep(time.Second)
		}
		worst = ""
		base := 0.0
		for i, d := range delays {
			var s glass.State
			for end := time.Now().Add(patience); s.Read < 100; time.Sleep(200 * time.Millisecond) {
				if s = state(d); time.Now().After(end) {
					p.Shot("glass-unread")
					t.Fatalf("delay %d: %+v", d, s)
				}
			}
			t.Logf("try %d: %3d ms added: p50 %.1f, p90 %.1f, p99 %.1f ± %.1f ms; read %d of %d; refresh %.1f ms; by the stamps %+v; unread %v", try, d, s.P50, s.P90, s.P99, s.Bound, s.Read, s.Frames, s.Refresh, *s.Synced, s.Unread)
			if i == 0 {
				base = s.P50
				if s.Refresh < 10 || s.Refresh > 60 || s.P50 <= 0 {
					t.Errorf("%+v", s)
				}
				continue
			}
			if off := s.P50 - base - float64(d); off > s.Refresh || off < -s.Refresh {
				worst = fmt.Sprintf("%d ms were added, and %.1f measured; the screen refreshes each %.1f ms", d, s.P50-base, s.Refresh)
			}
		}
		if worst == "" {
			break
		}
	}
	if worst != "" {
		t.Error(worst)
	}
	p.serves("glass")
	p.Shot("glass")
	resp, err := http.Get(url + "cameras/d200/glass/picture")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	picture, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "image/png" {
		t.Fatalf("the picture of what was seen: %s, %v", resp.Status, err)
	}
	if err := os.WriteFile(t.ArtifactDir()+"/seen.png", picture, 0o666); err != nil {
		t.Fatal(err)
	}
}

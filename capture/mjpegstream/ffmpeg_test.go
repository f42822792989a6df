package mjpegstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
)

func ffmpeg(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("no ffmpeg here")
	}
	return exec.Command(path, append([]string{"-v", "error", "-nostdin"}, args...)...)
}

// drain takes frames until the end and returns how many it got, and the end.
func drain(t *testing.T, c capture.Camera, w, h int) (got uint64, last frame.Counts, end error) {
	t.Helper()
	for range 10_000 {
		f, err := c.Next(t.Context())
		if err != nil {
			return got, last, err
		}
		if f.Width != w || f.Height != h {
			t.Errorf("%dx%d, want %dx%d", f.Width, f.Height, w, h)
		}
		if _, r, err := mjpeg.Check(f.Data); err != nil || r.Any() {
			t.Errorf("frame %d: %+v, %v", f.Seq, r, err)
		}
		last = f.Counts
		check(t, f, got)
		got++
	}
	t.Fatal("does not end")
	return
}

func TestFFmpegThroughAPipe(t *testing.T) {
	for _, pace := range [][]string{{"-re"}, nil} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := ffmpeg(t, append(pace, "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=50", "-frames:v", "40", "-c:v", "mjpeg", "-f", "mjpeg", "-")...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		c, err := openFile(r, "-", capture.Config{})
		if err != nil {
			t.Fatal(err)
		}
		got, last, end := drain(t, c, 320, 240)
		if end != io.EOF || last.Offered != 40 || got+last.LostTotal() != 40 {
			t.Errorf("%v: %d frames, ledger %+v, end %v", pace, got, last, end)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		r.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v %s", err, stderr.String())
		}
	}
}

func TestFFmpegOverHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := ffmpeg(t, "-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=50", "-frames:v", "60", "-c:v", "mjpeg", "-f", "mpjpeg", "-listen", "1", "http://"+addr+"/cam")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var c *camera
	for range 200 { // until it listens
		if c, err = openHTTPWithin(t.Context(), fmt.Sprintf("http://%s/cam", addr), capture.Config{}, short); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, last, end := drain(t, c, 320, 240)
	if !errors.Is(end, capture.ErrGone) || got == 0 || last.Offered < 40 {
		t.Errorf("%d frames, ledger %+v, end %v", got, last, end)
	}
}

//go:build linux && vm

package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/test/vm/bench"
)

// Tests of the program itself, both sides of it in the machine.

// background starts a program that is killed when the test ends.
func background(t *testing.T, argv ...string) *bench.Process {
	t.Helper()
	p, err := machine.Go(argv...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.Kill() == nil {
			<-p.Done()
		}
	})
	return p
}

// until polls for a condition that another machine's doing brings about.
func until(t *testing.T, what string, p *bench.Process, ok func() bool) {
	t.Helper()
	for range 300 {
		if ok() {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("%s: not within a minute; output:\n%s", what, p.Output())
}

func TestDevicesCommand(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, code, err := machine.Run(ctx, "/bin/framepipe", "devices", "--json")
	if err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	var devs []struct {
		Path    string
		Driver  string
		Formats []struct{ FourCC string }
	}
	if err := json.Unmarshal([]byte(out), &devs); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(devs) < 2 || devs[0].Path != "/dev/video0" || devs[0].Driver != "vivid" || len(devs[0].Formats) < 5 {
		t.Errorf("%+v", devs)
	}
	for _, bad := range []string{"v4l2:/dev/video99", "v4l2:/dev/null"} {
		out, code, err := machine.Run(ctx, "/bin/framepipe", "send", "--source", bad, "127.0.0.1:1308")
		if err != nil || code != 2 || !strings.Contains(out, "error:") || !strings.Contains(out, "hint:") {
			t.Errorf("%s: exit %d, %v: %s", bad, code, err, out)
		}
	}
}

// record is what this needs of `receive --json`.
type record struct {
	Record   int
	Complete bool
	Frames   int
	Latency  struct{ Count int }
}

// records reads a receiver's JSON lines; others are messages.
func records(p *bench.Process) (out []record) {
	in := bufio.NewScanner(strings.NewReader(p.Output()))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var r record
		if strings.HasPrefix(in.Text(), "{") && json.Unmarshal(in.Bytes(), &r) == nil && r.Record > 0 {
			out = append(out, r)
		}
	}
	return out
}

func TestSendReceive(t *testing.T) {
	background(t, "/bin/usbcam")
	for i, tc := range []struct{ name, source, format, mode string }{
		{"vivid encoded", "v4l2:/dev/video0?input=0", "jpeg", "sequence"},
		{"vivid raw", "v4l2:/dev/video0?input=0", "yuv", "continuous"},
		{"multi-planar", "v4l2:/dev/video1?input=0", "rgb", "sequence"},
		{"usb passed through", "v4l2:/dev/video2", "jpeg", "sequence"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := fmt.Sprintf("127.0.0.1:%d", 2000+i)
			file := fmt.Sprintf("summary-%d", i)
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			send := background(t, "/bin/framepipe", "send", "--source", tc.source, "--format", tc.format, "--mode", tc.mode, "-W", "320", "-H", "180", "--warmup", "0s", addr)
			out, code, err := machine.Run(ctx, "/bin/framepipe", "receive", "--listen", addr, "--http", "", "--record-length", "2s", "--records", "2", "--summary", "/host/"+file)
			if err != nil || code != 0 {
				t.Fatalf("receive: exit %d, %v: %s\nsend: %s", code, err, out, send.Output())
			}
			b, err := os.ReadFile(filepath.Join(share, file))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			if len(lines) != 3 {
				t.Fatalf("summary:\n%s", b)
			}
			for _, l := range lines[1:] {
				var n int
				var elapsed, size float64
				if _, err := fmt.Sscanf(l, "%d, %g, %g", &n, &elapsed, &size); err != nil || n < 3 || elapsed < 2 || size < 500 {
					t.Errorf("record %q: %v", l, err)
				}
			}
		})
	}
}

// TestReplug: the camera is pulled out and put back while it is being sent; the
// sender goes on by itself.
func TestReplug(t *testing.T) {
	camera, err := machine.Go("/bin/usbcam")
	if err != nil {
		t.Fatal(err)
	}
	const addr = "127.0.0.1:2100"
	receive := background(t, "/bin/framepipe", "receive", "--listen", addr, "--http", "", "--record-length", "1s", "--json")
	// It may have to wait for the camera, and for the receiver.
	var send *bench.Process
	until(t, "the sender starts", receive, func() bool {
		if send == nil {
			send = background(t, "/bin/framepipe", "send", "--source", "v4l2:/dev/video2", "-W", "320", "-H", "240", "--warmup", "0s", addr)
		}
		select {
		case <-send.Done():
			send = nil
			return false
		default:
			return len(records(receive)) >= 2
		}
	})
	if err := camera.Kill(); err != nil {
		t.Fatal(err)
	}
	<-camera.Done()
	until(t, "the sender notices", send, func() bool { return strings.Contains(send.Output(), "/dev/video2") })
	select {
	case <-send.Done():
		t.Fatalf("the sender gave up:\n%s", send.Output())
	default:
	}
	before := 0
	for _, r := range records(receive) {
		before += r.Frames
	}
	background(t, "/bin/usbcam")
	until(t, "frames come again", send, func() bool {
		n := 0
		for _, r := range records(receive) {
			n += r.Frames
		}
		return n > before+20
	})
}

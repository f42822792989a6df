//go:build linux

package main

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 60 * time.Second // the machine may be busy

var program string // framepipe, built once

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "framepipe-bus-test-")
	if err == nil {
		err = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "home")) // nobody's records are to be found
	}
	if err == nil {
		program, err = buildProgram(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// rig is a cluster and the program.
type rig struct {
	*testing.T
	*cluster
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if _, err := exec.LookPath("nats-server"); err != nil {
		t.Skip("needs nats-server (apt-get install nats-server)")
	}
	c, err := startCluster(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return &rig{t, c}
}

func (r *rig) start(args ...string) *process {
	r.Helper()
	p, err := start(program, args...)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(p.stop)
	r.Cleanup(func() {
		if r.Failed() {
			r.Logf("%v:\n%s", args, p.said())
		}
	})
	return p
}

func (r *rig) says(p *process, pattern string) string {
	r.Helper()
	got, err := p.says(pattern)
	if err != nil {
		r.Fatal(err)
	}
	return got
}

// receive starts a receiver on the bus and returns its page and where cameras connect.
func (r *rig) receive(name string, args ...string) (p *process, page, tcp string) {
	r.Helper()
	p = r.start(append([]string{"receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bus", r.urls(), "--bus-name", name}, args...)...)
	return p, r.says(p, `the page is at (http://\S+/)`), r.says(p, `waiting for cameras on (\S+)`)
}

// until waits for a camera to be as ok wants it.
func (r *rig) until(page, camera, what string, ok func(c cameraState) bool) cameraState {
	r.Helper()
	var c cameraState
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		all, err := cameras(page)
		if err == nil {
			if c = all[camera]; c.Name != "" && ok(c) {
				return c
			}
		}
	}
	r.Fatalf("%s: not %s: %+v", camera, what, c)
	return c
}

func (r *rig) picture(url string) (w, h int) {
	r.Helper()
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		resp, err := http.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if last = fmt.Sprint(resp.Status, " ", len(b), " bytes"); resp.StatusCode == http.StatusOK {
			img, err := jpeg.Decode(bytes.NewReader(b))
			if err != nil {
				r.Fatalf("%s: %v", url, err)
			}
			return img.Bounds().Dx(), img.Bounds().Dy()
		}
		last += " " + string(b[:min(len(b), 200)])
	}
	r.Fatalf("%s: no picture: %s", url, last)
	return 0, 0
}

// A camera of one receiver is shown and measured by another across a cluster of
// three: through the death of a node, a receiver that stands still, and the
// receiver's own end. Raw frames are larger than one message may be.
func TestCamerasCrossTheBus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	studio, page, tcp := r.receive("studio", "--bus-keep", "1m")
	hallProcess, hall, _ := r.receive("hall", "--from-bus", "*")
	r.start("send", "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30", "--name", "door", tcp)
	r.start("send", "--source", "pattern", "-W", "1280", "-H", "960", "--fps", "5", "--format", "yuv", "--name", "raw", tcp) // 1.8 MB each

	c := r.until(hall, "studio.door", "measured", func(c cameraState) bool {
		return c.Connected && c.Live.Delivered > 60 && c.Live.TotalLatency != nil && c.Clock != nil
	})
	if c.Wire != "bus" || c.Live.Imbalance != 0 || c.Live.TotalLatency.P50 <= 0 || c.Clock.Error <= 0 {
		t.Errorf("%+v", c)
	}
	if w, h := r.picture(hall + "cameras/studio.raw/snapshot"); w != 1280 || h != 960 {
		t.Errorf("the raw camera's picture is %dx%d", w, h)
	}
	if w, h := r.picture(hall + "cameras/studio.door/snapshot?ago=2s"); w != 320 || h != 240 {
		t.Errorf("the picture of two seconds ago is %dx%d", w, h)
	}
	r.picture(page + "cameras/door/snapshot?ago=2s")
	if all, err := cameras(page); err != nil || len(all) != 2 {
		t.Errorf("the studio has taken cameras that nobody told it to: %v, %v", all, err)
	}

	// A node dies, the one that the studio is connected to.
	node := r.says(studio, `connected to the bus.*server (nats://\S+?),? `)
	if !r.kill(node) {
		t.Fatalf("no server at %q", node)
	}
	r.says(studio, "connected to the bus again")
	before := r.until(page, "door", "going on", func(c cameraState) bool { return true })
	c = r.until(hall, "studio.door", "going on after a node's death", func(n cameraState) bool { return n.Live.Delivered > c.Live.Delivered+90 })
	if c.Live.Imbalance != 0 {
		t.Errorf("the ledger does not balance: %+v", c)
	}
	if after := r.until(page, "door", "undisturbed", func(n cameraState) bool { return n.Live.Delivered > before.Live.Delivered }); after.Live.Lost["connection"] != 0 {
		t.Errorf("the death of a node cost the studio frames of its camera: %+v", after)
	}

	// A subscriber that stands still delays nobody, and is up to date again when it goes on.
	if err := hallProcess.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	from := r.until(page, "door", "there", func(cameraState) bool { return true })
	time.Sleep(4 * time.Second)
	to := r.until(page, "door", "there", func(cameraState) bool { return true })
	if err := hallProcess.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if n := to.Live.Delivered - from.Live.Delivered; n < 60 { // 120 at 30 fps
		t.Errorf("while the hall stood still the studio had %d frames in 4 s", n)
	}
	c = r.until(hall, "studio.door", "up to date", func(n cameraState) bool {
		return n.Live.Delivered > c.Live.Delivered+30 && n.Live.Age != nil && *n.Live.Age < 500
	})
	if c.Live.Imbalance != 0 {
		t.Errorf("the ledger does not balance: %+v", c)
	}

	// The receiver between ends.
	studio.stop()
	c = r.until(hall, "studio.door", "gone", func(c cameraState) bool { return !c.Connected })
	if c.Cause == "" || c.Live.Imbalance != 0 {
		t.Errorf("%+v", c)
	}
}

// Without the bus a receiver that shall use one says so and ends.
func TestNoBus(t *testing.T) {
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		want   string
		status int
		args   []string
	}{
		{"is nats-server running there?", 1, []string{"--bus", fmt.Sprintf("nats://127.0.0.1:%d", ports[0])}},
		{"--from-bus needs --bus", 2, []string{"--from-bus", "*"}},
		{"is no pattern", 2, []string{"--bus", "nats://127.0.0.1", "--from-bus", "[a"}},
	} {
		cmd := exec.Command(program, append([]string{"receive", "--listen", "127.0.0.1:0", "--http", ""}, tc.args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != tc.status || !strings.Contains(string(out), tc.want) {
			t.Errorf("%v: %v\n%s", tc.args, err, out)
		}
	}
}

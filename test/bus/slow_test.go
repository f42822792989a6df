//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A subscriber behind a link that carries a third of what the camera gives takes
// fewer frames, those it takes are not old, and the other side does not notice.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root (network namespaces)")
	}
	for _, p := range []string{"ip", "tc", "curl", "nats-server"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s (apt-get install iproute2 curl nats-server)", p)
		}
	}
	near, far := fmt.Sprintf("fpbus%d-near", os.Getpid()), fmt.Sprintf("fpbus%d-far", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	for _, ns := range []string{near, far} {
		ip("netns", "add", ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		ip("-n", ns, "link", "set", "lo", "up")
	}
	ip("-n", near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far)
	ip("-n", near, "addr", "add", "10.78.0.1/24", "dev", "eth0")
	ip("-n", far, "addr", "add", "10.78.0.2/24", "dev", "eth0")
	ip("-n", near, "link", "set", "eth0", "up")
	ip("-n", far, "link", "set", "eth0", "up")
	const shape = "qdisc add dev eth0 root tbf rate 8mbit burst 16kb limit 200kb"
	if out, err := exec.Command("sh", "-c", "ip netns exec "+near+" tc "+shape).CombinedOutput(); err != nil {
		t.Fatalf("tc: %v\n%s", err, out)
	}
	in := func(ns string, name string, args ...string) *process {
		t.Helper()
		p, err := start("ip", append([]string{"netns", "exec", ns, name}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.stop)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s %v:\n%s", name, args, p.said())
			}
		})
		return p
	}
	says := func(p *process, pattern string) {
		t.Helper()
		if _, err := p.says(pattern); err != nil {
			t.Fatal(err)
		}
	}
	says(in(near, "nats-server", "-a", "10.78.0.1", "-p", "4222"), "Server is ready")
	const url = "nats://10.78.0.1:4222"
	studio := in(near, program, "receive", "--listen", "127.0.0.1:1308", "--http", "127.0.0.1:8080", "--announce", "", "--bus", url, "--bus-name", "studio", "--source", "pattern", "-W", "1280", "-H", "720", "--fps", "30", "--quality", "85")
	says(studio, "connected to the bus")
	hall := in(far, program, "receive", "--listen", "127.0.0.1:1308", "--http", "127.0.0.1:8080", "--announce", "", "--bus", url, "--bus-name", "hall", "--from-bus", "*")
	says(hall, "the bus is slow, taking fewer frames")
	look := func(ns, name string) (c cameraState) {
		out, err := exec.Command("ip", "netns", "exec", ns, "curl", "-s", "-m", "10", "http://127.0.0.1:8080/cameras").Output()
		var all []cameraState
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil {
			t.Logf("%v: %s", err, out)
		}
		for _, a := range all {
			if a.Name == name {
				c = a
			}
		}
		return c
	}
	first := look(far, "studio.pattern")
	var c cameraState
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if c = look(far, "studio.pattern"); c.Live.Delivered > first.Live.Delivered+20 && c.Live.Age != nil && *c.Live.Age < 1000 && c.Live.Lost["bus"] > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no new frames in time: %+v", c)
		}
	}
	if c.Live.Imbalance != 0 {
		t.Errorf("the ledger does not balance: %+v", c)
	}
	if s := look(near, "pattern"); s.Live.Delivered <= c.Live.Delivered || s.Live.Lost["bus"] != 0 {
		t.Errorf("the studio had %d frames, the hall %d: %+v", s.Live.Delivered, c.Live.Delivered, s)
	}
}

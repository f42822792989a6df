//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"framepipe/internal/netem"
)

// fault is one kind of thing that goes wrong.
type fault struct {
	name, text string
	disk       bool // it is the disk's, so files may lack what is told to be lost
	prepare    func(*trial) error
	// act makes it happen, and returns when its cause had ended.
	act func(*trial) (time.Time, error)
}

const ms = time.Millisecond

// faults is every kind that is tried.
var faults = []*fault{
	{name: "kill-send", text: "`send` killed (kill -9), started anew after up to 1.5 s", act: func(t *trial) (time.Time, error) {
		t.send.kill()
		t.pause("away", 0, 1500*ms)
		return time.Now(), t.startSend()
	}},
	{name: "kill-receive", text: "`receive` killed (kill -9), started anew after up to 4 s", act: func(t *trial) (time.Time, error) {
		t.recv.kill()
		t.pause("away", 0, 4*time.Second)
		return time.Now(), t.startReceive()
	}},
	{name: "stop-send", text: "`send` stopped (SIGSTOP) for 0.1–4 s", act: func(t *trial) (time.Time, error) { return t.freeze(t.send) }},
	{name: "stop-receive", text: "`receive` stopped (SIGSTOP) for 0.1–4 s", act: func(t *trial) (time.Time, error) { return t.freeze(t.recv) }},
	{name: "link-down", text: "one side's network device down for 0.05–6 s", act: func(t *trial) (time.Time, error) {
		end := t.link.A
		if t.IntN(2) == 0 {
			end = t.link.B
		}
		if err := device(end, "down"); err != nil {
			return time.Time{}, err
		}
		t.pause(end.Namespace[len(end.Namespace)-1:]+" down", 50*ms, 6*time.Second)
		err := device(end, "up")
		return time.Now(), err
	}},
	{name: "outage", text: "every packet lost, both ways, for 0.05–6 s", act: func(t *trial) (time.Time, error) {
		return t.path(netem.Path{Loss: 1}, netem.Path{Loss: 1}, 50*ms, 6*time.Second)
	}},
	{name: "one-way", text: "every packet lost in one direction for 0.05–4 s", act: func(t *trial) (time.Time, error) {
		if t.IntN(2) == 0 {
			t.note("there")
			return t.path(netem.Path{Loss: 1}, netem.Path{}, 50*ms, 4*time.Second)
		}
		t.note("back")
		return t.path(netem.Path{}, netem.Path{Loss: 1}, 50*ms, 4*time.Second)
	}},
	{name: "latency-step", text: "delay 0 → 20–300 ms with jitter → 0", act: func(t *trial) (time.Time, error) {
		p := netem.Path{Delay: t.between(20*ms, 300*ms), Jitter: t.between(0, 20*ms)}
		return t.path(p, p, 500*ms, 3*time.Second)
	}},
	{name: "loss-step", text: "1–20 % of packets lost for 0.5–3 s", act: func(t *trial) (time.Time, error) {
		p := netem.Path{Loss: float64(1+t.IntN(20)) / 100, Delay: 2 * ms}
		return t.path(p, p, 500*ms, 3*time.Second)
	}},
	{name: "rate-step", text: "link of 0.3–2 Mbit/s, less than the stream, for 0.5–3 s", act: func(t *trial) (time.Time, error) {
		p := netem.Path{Rate: 300_000 + t.Int64N(1_700_000), Queue: 50_000 + t.IntN(200_000)}
		return t.path(p, netem.Path{}, 500*ms, 3*time.Second)
	}},
	{name: "half-open-receive", text: "`receive` killed and started anew behind a dead link, that comes back: the sender's connection leads nowhere", act: func(t *trial) (time.Time, error) {
		t.dead(true)
		t.recv.kill()
		t.pause("dead", 0, 2*time.Second)
		if err := t.startReceive(); err != nil {
			return time.Time{}, err
		}
		t.pause("dead", 200*ms, 2*time.Second)
		return t.dead(false), nil
	}},
	{name: "half-open-send", text: "`send` killed and started anew behind a dead link, that comes back: the receiver keeps a connection to nobody under the same name", act: func(t *trial) (time.Time, error) {
		t.dead(true)
		t.send.kill()
		t.pause("dead", 0, 1*time.Second)
		if err := t.startSend(); err != nil {
			return time.Time{}, err
		}
		t.pause("dead", 200*ms, 1*time.Second)
		return t.dead(false), nil
	}},
	{name: "port-taken", text: "`receive` killed, another program has its port for 0.2–3 s (silent, talkative, or hanging up)", act: func(t *trial) (time.Time, error) {
		t.recv.kill()
		ln, err := t.link.ListenIn(netem.B, "tcp", ":"+camPort)
		if err != nil {
			return time.Time{}, err
		}
		manner := t.IntN(3)
		t.note("%s", [...]string{"silent", "talkative", "hanging up"}[manner])
		end := impostor(ln, manner)
		t.pause("taken", 200*ms, 3*time.Second)
		end()
		return time.Now(), t.startReceive()
	}},
	{name: "disk-full", text: "the disk of frame log and recording full for 0.5–3 s", disk: true,
		prepare: func(t *trial) error { return t.smallDisk("4m") },
		act: func(t *trial) (time.Time, error) {
			ballast, err := fill(t.disk)
			if err != nil {
				return time.Time{}, err
			}
			if err := t.goesOn(); err != nil {
				return time.Time{}, err
			}
			t.pause("full", 500*ms, 3*time.Second)
			err = os.Remove(ballast)
			time.Sleep(1500 * ms) // frame log and recording try again each second, and must be heard of
			for what, again := range map[string]string{"cannot record": "recording goes on", "cannot be written": "written again"} {
				if said := t.recv.stderr(); strings.Contains(said, what) && !strings.Contains(said, again) {
					t.failf("with room again, nobody says %q", again)
				}
			}
			return time.Now(), err
		}},
	{name: "disk-hangs", text: "the disk takes nothing for 0.5–4 s, and what writes to it hangs (ext4, frozen)", disk: true,
		prepare: (*trial).realDisk,
		act: func(t *trial) (time.Time, error) {
			if err := freeze(t.disk, true); err != nil {
				return time.Time{}, err
			}
			goes := t.goesOn()
			t.pause("frozen", 500*ms, 4*time.Second)
			return time.Now(), errors.Join(goes, freeze(t.disk, false))
		}},
	{name: "disk-slow", text: "the disk takes 10–200 kB/s, less than comes, for 1–14 s, and who writes to it waits (ext4, the kernel's throttling)", disk: true,
		prepare: (*trial).slowDisk,
		act: func(t *trial) (time.Time, error) {
			rate := 10_000 + t.Int64N(190_000)
			t.note("%d kB/s", rate/1000)
			if err := t.throttle(t.recv.pid(), rate); err != nil {
				return time.Time{}, err
			}
			goes := t.goesOn()
			t.pause("slow", time.Second, 14*time.Second)
			goes = errors.Join(goes, t.goesOn())
			return time.Now(), errors.Join(goes, t.throttle(t.recv.pid(), 0))
		}},
	{name: "disk-read-only", text: "the disk becomes read-only for good, as a worn-out SD card does (ext4, errors=remount-ro)", disk: true,
		prepare: (*trial).realDisk,
		act: func(t *trial) (time.Time, error) {
			if err := breakDisk(t.disk); err != nil {
				return time.Time{}, err
			}
			t.pause("then", 200*ms, 2*time.Second)
			return time.Now(), nil
		}},
	{name: "camera-gone", text: "a network camera unplugged for 0.1–8 s", prepare: networkCamera, act: func(t *trial) (time.Time, error) {
		t.cam.away()
		t.pause("gone", 100*ms, 8*time.Second)
		err := t.cam.plug(320, 240)
		return time.Now(), err
	}},
	{name: "camera-changed", text: "a network camera that comes back with another size", prepare: networkCamera, act: func(t *trial) (time.Time, error) {
		t.cam.away()
		t.pause("gone", 100*ms, 4*time.Second)
		w, h := 160+16*t.IntN(30), 120+16*t.IntN(20)
		t.note("%dx%d", w, h)
		err := t.cam.plug(w, h)
		return time.Now(), err
	}},
	{name: "camera-silent", text: "a network camera that says nothing for 0.2–4 s", prepare: networkCamera, act: func(t *trial) (time.Time, error) {
		t.cam.silent.Store(true)
		t.pause("silent", 200*ms, 4*time.Second)
		t.cam.silent.Store(false)
		return time.Now(), nil
	}},
	{name: "rpicam-crash", text: "`rpicam-vid` (the stand-in) killed 1–3 times", prepare: func(t *trial) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		vid := filepath.Join(t.dir, "rpicam-vid")
		t.source, t.sendEnv = "rpicam:0", []string{"FRAMEPIPE_RPICAM=" + vid, "STANDIN=", "GORACE=atexit_sleep_ms=0"}
		return os.Symlink(self, vid)
	}, act: func(t *trial) (time.Time, error) {
		times := 1 + t.IntN(3)
		for i := range times {
			if i > 0 {
				t.pause("then", 0, 1500*ms)
			}
			for _, pid := range t.send.children() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		t.note("%d times", times)
		return time.Now(), nil
	}},
	{name: "no-files-receive", text: "`receive` may open no more files while the connection breaks and others ask, for 0.3–2.5 s", act: func(t *trial) (time.Time, error) { return t.noFiles(t.recv) }},
	{name: "no-files-send", text: "`send` may open no more files while the connection breaks, for 0.3–2.5 s", act: func(t *trial) (time.Time, error) { return t.noFiles(t.send) }},
	{name: "viewer-flood", text: "30–300 viewers at once for 1–3 s, most of them reading nothing", act: func(t *trial) (time.Time, error) {
		n := 30 + t.IntN(271)
		t.note("%d viewers", n)
		end := t.flood(n, "127.0.0.1:"+httpPort, netem.B, func(c net.Conn, i int) {
			path := []string{"/stream", "/snapshot", "/cameras/" + camName + "/stream?early=1", "/"}[i%4]
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
			if i%3 == 0 {
				_, _ = io.Copy(io.Discard, c)
			}
		})
		if err := t.goesOn(); err != nil {
			return time.Time{}, err
		}
		t.pause("for", time.Second, 3*time.Second)
		end()
		return time.Now(), nil
	}},
	{name: "garbage-cameras", text: "20–300 connections of garbage to the port for cameras, from loopback and from the sender's machine, for 1–3 s", act: func(t *trial) (time.Time, error) {
		n := 20 + t.IntN(281)
		t.note("%d connections", n)
		from, to := netem.B, "127.0.0.1:"+camPort
		if t.IntN(2) == 0 {
			from, to = netem.A, t.link.B.Addr.String()+":"+camPort
		}
		end := t.flood(n, to, from, t.garbage(false))
		t.pause("for", time.Second, 3*time.Second)
		end()
		return time.Now(), nil
	}},
	{name: "garbage-http", text: "20–300 connections of garbage to the page's port for 1–3 s", act: func(t *trial) (time.Time, error) {
		n := 20 + t.IntN(281)
		t.note("%d connections", n)
		end := t.flood(n, "127.0.0.1:"+httpPort, netem.B, t.garbage(true))
		t.pause("for", time.Second, 3*time.Second)
		end()
		return time.Now(), nil
	}},
}

func init() {
	// Several in a row, of those that need no preparation.
	var simple []*fault
	for _, f := range faults {
		if f.prepare == nil {
			simple = append(simple, f)
		}
	}
	faults = append(faults, &fault{name: "storm", text: "three of the faults without a disk or camera of their own, one right after the other", act: func(t *trial) (end time.Time, err error) {
		for range 3 {
			f := simple[t.IntN(len(simple))]
			t.note("[%s]", f.name)
			if end, err = f.act(t); err != nil {
				return end, err
			}
		}
		return end, nil
	}})
}

// haste divides how long faults last at most, for tests in a hurry.
var haste = 1

// pause lets a fault last.
func (t *trial) pause(what string, from, to time.Duration) {
	d := t.between(from, max(from, to/time.Duration(haste)))
	t.note("%s %v", what, d)
	time.Sleep(d)
}

func (t *trial) freeze(p *process) (time.Time, error) {
	p.signal(syscall.SIGSTOP)
	t.pause("stopped", 100*ms, 4*time.Second)
	p.signal(syscall.SIGCONT)
	return time.Now(), nil
}

func device(e netem.End, state string) error {
	out, err := exec.Command("ip", "-n", e.Namespace, "link", "set", e.Device, state).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip link set %s: %w: %s", state, err, out)
	}
	return nil
}

// path changes the link, and back.
func (t *trial) path(there, back netem.Path, from, to time.Duration) (time.Time, error) {
	t.note("link %s | %s", there, back)
	if err := errors.Join(t.link.Set(netem.A, there), t.link.Set(netem.B, back)); err != nil {
		return time.Time{}, err
	}
	t.pause("for", from, to)
	return t.dead(false), nil
}

// dead makes the link lose everything, or nothing.
func (t *trial) dead(yes bool) time.Time {
	var p netem.Path
	if yes {
		p.Loss = 1
	}
	if err := errors.Join(t.link.Set(netem.A, p), t.link.Set(netem.B, p)); err != nil {
		t.failf("%v", err)
	}
	return time.Now()
}

// goesOn checks that the live view does not notice a fault.
func (t *trial) goesOn() error {
	took, err := t.recover(time.Now())
	if err == nil && took > 2*time.Second {
		err = fmt.Errorf("%v without a new picture", took)
	}
	if err != nil {
		return fmt.Errorf("while it lasts: %w", err)
	}
	return nil
}

// impostor has a port that is not its own.
func impostor(ln net.Listener, manner int) (end func()) {
	var mu sync.Mutex
	var conns []net.Conn
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			switch manner {
			case 1:
				fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n220 what do you want?\r\n")
			case 2:
				c.Close()
			}
		}
	})
	return func() {
		ln.Close()
		wg.Wait()
		for _, c := range conns {
			c.Close()
		}
	}
}

func networkCamera(t *trial) error {
	t.cam = &camera{link: t.link}
	t.source = "http://" + camAddress + "/stream"
	return t.cam.plug(320, 240)
}

// noFiles takes away a process's right to open files, breaks the connection, and
// asks the receiver for much.
func (t *trial) noFiles(p *process) (time.Time, error) {
	was, err := p.limitFiles(uint64(p.files()))
	if err != nil {
		return time.Time{}, err
	}
	stop := func() {}
	if p == t.recv {
		stop = t.flood(40, "127.0.0.1:"+httpPort, netem.B, func(c net.Conn, i int) { fmt.Fprint(c, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") })
	}
	// What breaks a connection without closing anything of ours: ss -K.
	out, err := exec.Command("ip", "netns", "exec", t.link.A.Namespace, "ss", "-K", "dst", t.link.B.Addr.String(), "dport", "=", camPort).CombinedOutput()
	if err != nil {
		stop()
		return time.Time{}, fmt.Errorf("ss -K: %w: %s", err, out)
	}
	t.pause("for", 300*ms, 2500*ms)
	stop()
	_, err = p.limitFiles(was)
	return time.Now(), err
}

// flood opens connections, does something with each, and does it again with those that
// ended, until end is called.
func (t *trial) flood(n int, addr string, from netem.Side, do func(c net.Conn, i int)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				c, err := t.link.DialIn(ctx, from, "tcp", addr)
				if err != nil {
					select {
					case <-ctx.Done():
					case <-time.After(50 * ms):
					}
					continue
				}
				stop := context.AfterFunc(ctx, func() { c.Close() })
				do(c, i)
				_ = c.SetReadDeadline(time.Now().Add(300 * ms))
				_, _ = io.Copy(io.Discard, io.LimitReader(c, 100)) // until it is sent away, or for a moment
				stop()
				c.Close()
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// garbage is what a peer says that means no good; the same for every seed and
// connection.
func (t *trial) garbage(http bool) func(c net.Conn, i int) {
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(t.Uint32())
	}
	all := [][]byte{
		random, {}, random[:3], {0xff, 0xff, 0xff, 0xff}, append([]byte{0, 0, 64, 0}, random...), // a frame that does not end: a whole one makes a camera of anybody
		append([]byte("FPv1"), random...), []byte("FP"), bytes.Repeat([]byte{0}, 4096),
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), {0x16, 0x03, 0x01, 0x02, 0, 1, 0, 1, 0xfc, 3, 3},
	}
	if http {
		all = [][]byte{
			random, {}, []byte("GET / HTTP/9.9\r\n\r\n"), []byte("GET /stream HTTP/1.1\r\nHost:"), []byte("POST /cameras/door/control HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{"),
			[]byte("GET / HTTP/1.1\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 100)), []byte("GET /cameras/..%2f..%2fetc/state HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
			[]byte("GET /cameras/door/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" + string(random)),
		}
	}
	return func(c net.Conn, i int) { _, _ = c.Write(all[i%len(all)]) }
}

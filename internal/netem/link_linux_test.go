package netem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// needLink skips where links cannot be made.
func needLink(t *testing.T) {
	t.Helper()
	if err := Possible(); err != nil {
		t.Skip(err)
	}
}

// onLink runs f over a link and returns its statistics.
func onLink(t *testing.T, c Config, f func(t *testing.T, l *Link) error) Stats {
	t.Helper()
	needLink(t)
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	err = f(t, l)
	cancel()
	if err := <-done; err != nil {
		t.Error("Run:", err)
	}
	stats := l.Stats()
	if err := l.Close(); err != nil {
		t.Error("Close:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Log(stats)
	return stats
}

// transfer sends random bytes from A to B by TCP and returns how long they took,
// from before the connection was opened until the last was read.
func transfer(l *Link, size int) (time.Duration, error) {
	ln, err := l.ListenIn(B, "tcp", ":0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	port := ln.Addr().(*net.TCPAddr).Port
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		conn, err := l.DialIn(context.Background(), A, "tcp", fmt.Sprintf("%v:%d", l.B.Addr, port))
		if err == nil {
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			_, err = conn.Write(data)
			conn.Close()
		}
		sent <- err
	}()
	conn, err := ln.Accept()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	got, err := io.ReadAll(conn)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	if sha256.Sum256(got) != sha256.Sum256(data) {
		return 0, fmt.Errorf("%d bytes arrived, not those that were sent", len(got))
	}
	return took, <-sent
}

func TestTCPGetsTheRate(t *testing.T) {
	const size, rate, least, attempts = 2_500_000, 20e6, 0.7, 5
	c := Symmetric(Path{Rate: rate, Delay: 5 * ms, Queue: 300_000})
	for i := range attempts {
		var took time.Duration
		stats := onLink(t, c, func(t *testing.T, l *Link) (err error) {
			took, err = transfer(l, size)
			return err
		})
		if stats.AB.MaxQueue == 0 || stats.AB.MaxQueue > 300_000 {
			t.Errorf("at most %d bytes queued; the limit is 300000", stats.AB.MaxQueue)
		}
		goodput := size * 8 / took.Seconds()
		if goodput > rate {
			t.Fatalf("%.1f Mbit/s over a link of %.0f Mbit/s", goodput/1e6, rate/1e6)
		}
		// Headers take 3.5 % of the rate, slow start some more; a busy machine
		// any amount, so the best run counts.
		t.Logf("run %d: %.1f of %.0f Mbit/s", i+1, goodput/1e6, rate/1e6)
		if goodput > rate*least {
			return
		}
	}
	t.Errorf("no run reached %.0f %% of the rate", least*100)
}

func TestTCPSurvivesLoss(t *testing.T) {
	stats := onLink(t, Symmetric(Path{Rate: 50e6, Delay: ms, Loss: 0.03}), func(t *testing.T, l *Link) error {
		_, err := transfer(l, 2_000_000)
		return err
	})
	near(t, "lost", float64(stats.AB.Lost), float64(stats.AB.In)*0.03, 0.6)
}

// echo answers datagrams at side B until its socket is closed.
func echo(l *Link) (conn net.PacketConn, err error) {
	err = l.Do(B, func() error {
		conn, err = net.ListenPacket("udp4", ":0")
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buf[:n], from)
		}
	}()
	return conn, nil
}

func TestDelayAndOrder(t *testing.T) {
	const delay = 20 * ms
	var best time.Duration
	onLink(t, Config{AB: Path{Delay: delay, Jitter: 2 * ms}, BA: Path{Delay: delay}}, func(t *testing.T, l *Link) error {
		server, err := echo(l)
		if err != nil {
			return err
		}
		defer server.Close()
		conn, err := l.DialIn(t.Context(), A, "udp4", fmt.Sprintf("%v:%d", l.B.Addr, server.LocalAddr().(*net.UDPAddr).Port))
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		best = time.Hour
		buf := make([]byte, 100)
		for i := range 20 { // one at a time: the round trip
			start := time.Now()
			if _, err := conn.Write([]byte{byte(i)}); err != nil {
				return err
			}
			if _, err := conn.Read(buf); err != nil {
				return err
			}
			best = min(best, time.Since(start))
		}
		for i := range 100 { // many at once: the order
			if _, err := conn.Write([]byte{byte(i)}); err != nil {
				return err
			}
		}
		for i := range 100 {
			if _, err := conn.Read(buf); err != nil {
				return err
			}
			if buf[0] != byte(i) {
				return fmt.Errorf("packet %d came in place %d", buf[0], i)
			}
		}
		return nil
	})
	if best < 2*delay || best > 4*delay {
		t.Errorf("the shortest round trip took %v; twice %v were to be expected", best, delay)
	}
}

func TestNamespacesAreSeparateAndRemoved(t *testing.T) {
	var a, b string
	onLink(t, Config{}, func(t *testing.T, l *Link) error {
		a, b = l.A.Namespace, l.B.Namespace
		out, err := l.Exec(t.Context(), A, "ip", "-brief", "addr").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if !strings.Contains(string(out), l.A.Addr.String()) || strings.Contains(string(out), "eth0") {
			return fmt.Errorf("side A has:\n%s", out)
		}
		if list := namespaces(t); !strings.Contains(list, a) || !strings.Contains(list, b) {
			return fmt.Errorf("%s and %s are not among\n%s", a, b, list)
		}
		return nil
	})
	if list := namespaces(t); strings.Contains(list, a) || strings.Contains(list, b) {
		t.Errorf("%s or %s was left behind:\n%s", a, b, list)
	}
}

func namespaces(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestFailureLeavesNothing(t *testing.T) {
	needLink(t)
	// The second namespace of the next link exists already.
	name := fmt.Sprintf("%s%d-%d-b", namePrefix, os.Getpid(), linkNumber.Load()+1)
	if err := ip("netns", "add", name); err != nil {
		t.Fatal(err)
	}
	l, err := New(Config{})
	if err == nil {
		l.Close()
		t.Error("New succeeded although a namespace of that name existed")
	}
	if err := ip("netns", "del", name); err != nil {
		t.Error(err)
	}
	if list := namespaces(t); strings.Contains(list, fmt.Sprintf("%s%d-%d", namePrefix, os.Getpid(), linkNumber.Load())) {
		t.Errorf("left behind:\n%s", list)
	}
}

func TestLeftoversOfOthersAreRemoved(t *testing.T) {
	needLink(t)
	cmd := exec.Command("true") // a process that no longer exists
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprintf("%s%d-1-a", namePrefix, cmd.Process.Pid)
	if err := ip("netns", "add", dead); err != nil {
		t.Fatal(err)
	}
	l, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if list := namespaces(t); strings.Contains(list, dead) || !strings.Contains(list, l.A.Namespace) {
		t.Errorf("%s should be gone, %s should be there:\n%s", dead, l.A.Namespace, list)
	}
}

func TestSpoiled(t *testing.T) {
	for late, want := range map[time.Duration]bool{0: false, MaxLateness: false, MaxLateness + 1: true} {
		s := Stats{Lateness: late}
		if s.Spoiled() != want || strings.Contains(s.String(), "spoiled") != want {
			t.Errorf("late by %v: %v", late, s)
		}
	}
}

func TestErrors(t *testing.T) {
	if _, err := New(Symmetric(Path{Loss: 2})); err == nil {
		t.Error("a loss of 200 % was accepted")
	}
	needLink(t)
	l, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.DialIn(t.Context(), A, "tcp", "localhost:1"); err == nil || !bytes.Contains([]byte(err.Error()), []byte("netem: dial")) {
		t.Errorf("dialling a name: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Errorf("Run with an ended context: %v", err)
	}
}

func TestCPUIsThatOfTheEmulator(t *testing.T) {
	var during time.Duration
	onLink(t, Symmetric(Path{Delay: ms}), func(t *testing.T, l *Link) (err error) {
		if _, err := transfer(l, 1_000_000); err != nil {
			return err
		}
		during, err = l.CPU()
		return err
	})
	if during <= 0 || during > time.Minute {
		t.Errorf("carrying 1 MB took %v of processor time", during)
	}
	l, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if d, err := l.CPU(); err == nil {
		t.Errorf("before Run: %v and no error", d)
	}
}

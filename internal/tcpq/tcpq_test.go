package tcpq

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
)

// pair is a TCP connection over loopback whose far end reads nothing by itself.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// fill writes until the kernel takes no more, and returns how much it took.
func fill(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for n < 64<<20 {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		k, err := c.Write(buf)
		n += k
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("the kernel took %d bytes and more for a reader that does not read", n)
	return 0
}

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how much is queued")
	}
}

func TestGateWaitsForTheQueue(t *testing.T) {
	linuxOnly(t)
	near, far := pair(t)
	g := NewGate(near)
	if g == nil {
		t.Fatal("the kernel does not tell")
	}
	if err := g.Wait(t.Context()); err != nil || g.Limit() != 0 {
		t.Fatalf("nothing is queued: %v, limit %d", err, g.Limit())
	}
	wrote := fill(t, near)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	err := g.Wait(ctx)
	cancel()
	if !errors.Is(err, context.DeadlineExceeded) {
		q, _ := g.probe.Queued()
		t.Fatalf("%d bytes are queued with a limit of %d, and the gate says %v", q, g.Limit(), err)
	}
	if g.Limit() < floor {
		t.Errorf("limit %d is below the floor", g.Limit())
	}
	opened := make(chan error, 1)
	go func() { opened <- g.Wait(t.Context()) }()
	if _, err := io.CopyN(io.Discard, far, int64(wrote)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-opened:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("all was read, and the gate stays closed")
	}
}

// A gate is asked a thousand times a second.
func TestGateAllocatesNothing(t *testing.T) {
	linuxOnly(t)
	near, _ := pair(t)
	g := NewGate(near)
	fill(t, near)
	if n := testing.AllocsPerRun(100, func() { g.open() }); n != 0 {
		t.Errorf("%g allocations each time", n)
	}
}

func TestNotsentLowatBoundsWhatTheKernelTakes(t *testing.T) {
	linuxOnly(t)
	near, _ := pair(t)
	free := fill(t, near)
	near, _ = pair(t)
	if err := SetNotsentLowat(near, NotsentLowat); err != nil {
		t.Fatal(err)
	}
	if bounded := fill(t, near); bounded > free/2 {
		t.Errorf("the kernel took %d bytes, without a bound %d", bounded, free)
	}
}

func TestCongestionControl(t *testing.T) {
	linuxOnly(t)
	near, _ := pair(t)
	if err := SetCongestion(near, "reno"); err != nil { // every kernel has it and allows it
		t.Fatal(err)
	}
	if got := Congestion(near); got != "reno" {
		t.Errorf("in force is %q", got)
	}
	if err := SetCongestion(near, "nosuchalgorithm"); err == nil {
		t.Error("an algorithm that does not exist was taken")
	}
	if got := Congestion(near); got != "reno" {
		t.Errorf("after a refusal, in force is %q", got)
	}
}

// What is no socket has no queue to ask about.
func TestWithoutAKernelQueue(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	g := NewGate(a)
	if g != nil {
		t.Fatal("a gate of a pipe")
	}
	if err := g.Wait(t.Context()); err != nil || g.Limit() != 0 {
		t.Errorf("no gate: %v, %d", err, g.Limit())
	}
	if SetCongestion(a, "reno") == nil || SetNotsentLowat(a, 1) == nil || Congestion(a) != "" {
		t.Error("options of a pipe were set")
	}
}

package rawio

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOneWakeUpPerFrame: a frame that trickles in must not wake its reader for
// each segment.
func TestOneWakeUpPerFrame(t *testing.T) {
	a, b := tcpPair(t)
	const pieces, piece = 60, 1000
	go func() {
		for range pieces {
			a.Write(make([]byte, piece))
			time.Sleep(300 * time.Microsecond)
		}
	}()
	s := NewReader(b)
	buf := make([]byte, pieces*piece)
	got, reads := 0, 0
	for got < len(buf) {
		n, err := s.ReadV(buf[got:], nil, len(buf)-got)
		if err != nil {
			t.Fatal(err)
		}
		got, reads = got+n, reads+1
	}
	if s.lowat == 0 {
		t.Skip("SO_RCVLOWAT cannot be set here")
	}
	if reads > pieces/6 {
		t.Errorf("%d reads for %d segments", reads, pieces)
	}
}

// TestLowatNeverHidesBytes: whatever was waited for before, a single byte that is
// asked for must wake, and so must the end.
func TestLowatNeverHidesBytes(t *testing.T) {
	a, b := tcpPair(t)
	b.SetReadDeadline(time.Now().Add(20 * time.Second))
	s := NewReader(b)
	buf := make([]byte, 1<<20)
	for _, want := range []int{200_000, 1, 5000, 1, 60_000} {
		go func() {
			time.Sleep(5 * time.Millisecond)
			a.Write(make([]byte, want))
		}()
		for got := 0; got < want; {
			n, err := s.ReadV(buf[:want-got], nil, want-got)
			if err != nil {
				t.Fatalf("%d of %d bytes: %v", got, want, err)
			}
			got += n
		}
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		a.Write([]byte{1, 2, 3})
		a.Close()
	}()
	n, err := s.ReadV(buf[:2], buf[2:], 100_000)
	if n != 3 || err != nil {
		t.Fatalf("the last bytes: %d, %v", n, err)
	}
	if _, err = s.ReadV(buf, nil, 100_000); err != io.EOF {
		t.Fatalf("the end: %v", err)
	}
}

// TestLowatIsBounded: an announced length must not make the kernel hold as much.
func TestLowatIsBounded(t *testing.T) {
	_, b := tcpPair(t)
	b.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	s := NewReader(b)
	if _, err := s.ReadV(make([]byte, 10), nil, 1<<30); err == nil {
		t.Fatal("nothing was sent")
	}
	s.raw.Control(func(fd uintptr) {
		if v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT); err != nil || v > LowatMost {
			t.Errorf("SO_RCVLOWAT %d, %v", v, err)
		}
	})
}

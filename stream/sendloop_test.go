package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"framepipe/frame"
)

// numbered is a JPEG of n bytes that tells which frame it is, and where, all along.
func numbered(seq uint64, n int) []byte {
	b := padded(n)
	for i := len(testJPEG()); i+8 <= n; i += 1000 {
		binary.LittleEndian.PutUint64(b[i:], seq<<20+uint64(i))
	}
	return b
}

// Frames that the one who brings them sends at once, that go out in part, and that
// wait for their turn arrive whole, in order and accounted for, under every policy.
func TestAtOnceInPartAndLater(t *testing.T) {
	for _, policy := range []string{"gated", "newest", "block", "ack=2", "deadline=1s"} {
		t.Run(policy, func(t *testing.T) {
			r := startReceiver(t, ReceiverConfig{})
			p, err := ParsePolicy(policy)
			if err != nil {
				t.Fatal(err)
			}
			s := newTestSender(t, SenderConfig{Address: r.addr, Policy: p})
			stop := runSender(t, s)
			src := &source{box: s.Mailbox()}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := src.box.WaitOnline(ctx); err != nil {
				t.Fatal(err)
			}
			feed := r.feed("cam")
			v := feed.Hub.Subscribe()
			defer v.Close()
			const frames = 200
			size := func(seq uint64) int { // now small, now larger than any socket's buffer
				if seq%5 == 0 {
					return 5 << 20
				}
				return 9_000 + int(seq%7)*30_000
			}
			seen := make(chan int)
			go func() {
				n, last := 0, uint64(0)
				defer func() { seen <- n }()
				for last < frames {
					f, err := v.Next(ctx)
					if err != nil {
						t.Errorf("after frame %d: %v", last, err)
						return
					}
					if f.Seq <= last || !bytes.Equal(f.Data, numbered(f.Seq, size(f.Seq))) {
						t.Errorf("frame %d after frame %d, damaged or out of order", f.Seq, last)
					}
					last = f.Seq
					n++
					f.Release()
				}
			}()
			for i := range uint64(frames) {
				if p.Blocks() || i == frames-1 { // the last one is to arrive
					if err := src.box.WaitIdle(ctx, false); err != nil {
						t.Fatal(err)
					}
				}
				src.data = numbered(i+1, size(i+1))
				src.put()
			}
			n := <-seen
			if err := stop(); err != nil {
				t.Error(err)
			}
			c := s.Stats().Counts
			if c.Imbalance() != 0 || c.Offered != frames || p.Blocks() && c.Sent != frames {
				t.Errorf("%+v", c)
			}
			eventually(t, "the receiver's ledger", func() bool { return feed.Meter.Ledger().Delivered == c.Sent })
			if out := src.pool.Out(); out != 0 {
				t.Errorf("%d frames are still held", out)
			}
			t.Logf("%d offered, %d sent, %d seen", c.Offered, c.Sent, n)
		})
	}
}

// narrow accepts v0 connections that take little at once.
func narrow(t *testing.T) (addr string, conns <-chan net.Conn) {
	t.Helper()
	lc := net.ListenConfig{}
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	out := make(chan net.Conn)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.(*net.TCPConn).SetReadBuffer(64 << 10)
			out <- c
		}
	}()
	return ln.Addr().String(), out
}

// readV0 reads one frame and checks it.
func readV0(in io.Reader, last uint64) (uint64, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, err
	}
	b := make([]byte, binary.LittleEndian.Uint32(head[:]))
	if _, err := io.ReadFull(in, b); err != nil {
		return 0, err
	}
	at := len(testJPEG())
	seq := (binary.LittleEndian.Uint64(b[at:]) - uint64(at)) >> 20
	if seq <= last || !bytes.Equal(b, numbered(seq, len(b))) {
		return 0, fmt.Errorf("frame %d after frame %d, damaged or out of order", seq, last)
	}
	return seq, nil
}

// A connection that takes frames in small parts gets them whole; one that is cut while
// half a frame is out is followed by one that begins with a frame; and a program that
// is told to stop meanwhile does.
func TestAtOnceOnANarrowConnection(t *testing.T) {
	addr, conns := narrow(t)
	s := newTestSender(t, SenderConfig{Address: addr, V0: true})
	s.retry = time.Millisecond
	s.cfg.Retry = time.Minute
	stop := runSender(t, s)
	src := &source{box: s.Mailbox()}
	ctx, cancel := context.WithCancel(context.Background())
	put := make(chan struct{})
	go func() {
		defer close(put)
		every(ctx, time.Millisecond, func() {
			src.data = numbered(src.counts.Offered+1, 300_000)
			src.put()
		})
	}()
	var last uint64
	for round := range 3 {
		var c net.Conn
		select {
		case c = <-conns:
		case <-time.After(20 * time.Second):
			t.Fatalf("round %d: no connection", round)
		}
		defer c.Close()
		in := bufio.NewReaderSize(c, 4096)
		for range 20 {
			seq, err := readV0(in, last)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			last = seq
		}
		if round == 2 {
			break
		}
		if round == 1 { // it says that it is done, and takes no more
			time.Sleep(1100 * time.Millisecond) // longer than the sender leaves a write's deadline as it is
			c.(*net.TCPConn).CloseWrite()
			continue
		}
		time.Sleep(20 * time.Millisecond) // the sender is in the middle of a frame
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	time.Sleep(20 * time.Millisecond)
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > writeTimeout/3 {
		t.Errorf("it took %v to stop beside a connection that takes nothing", d)
	}
	cancel()
	<-put
	s.Mailbox().Close()
	c := s.Stats().Counts
	if c.Imbalance() != 0 {
		t.Errorf("%+v", c)
	}
	if out := src.pool.Out(); out != 0 {
		t.Errorf("%d frames are still held", out)
	}
	if c.Lost[frame.LostStale] == 0 {
		t.Error("nothing was stale: the connection was not narrow")
	}
}

// As many frames are sent as are wanted, however they are.
func TestAtOnceEndsAfterFrames(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	s := newTestSender(t, SenderConfig{Address: r.addr, Frames: 3})
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	src := &source{box: s.Mailbox(), data: padded(9000)}
	if err := src.box.WaitOnline(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		src.put()
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if c := s.Stats().Counts; c.Sent != 3 || c.Imbalance() != 0 {
		t.Errorf("%+v", c)
	}
}

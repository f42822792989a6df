package rawio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"framepipe/internal/secure"
)

// pair is two ends of a TCP connection, the first of them a Conn.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	near, far := tcpPair(t)
	return NewConn(near), far
}

// What goes in at one end comes out at the other, in both directions at once, however
// large the pieces are and however slowly they are taken: Write returns when all of it
// is written, from several goroutines one piece after the other.
func TestConnCarriesAllBytes(t *testing.T) {
	near, far := pair(t)
	far.SetReadBuffer(64 << 10)
	const pieces, writers = 40, 3
	piece := func(w, i int) []byte {
		b := bytes.Repeat([]byte{byte(w)}, rand.IntN(400_000)+1)
		b[0] = byte(i) | 0x80
		return b
	}
	var wg sync.WaitGroup
	var total [writers]int
	for w := range writers {
		wg.Go(func() {
			for i := range pieces {
				b := piece(w, i)
				total[w] += len(b)
				if n, err := near.Write(b); n != len(b) || err != nil {
					t.Errorf("%d of %d bytes, %v", n, len(b), err)
				}
			}
		})
	}
	back := make([]byte, 5_000_000)
	for i := range back {
		back[i] = byte(rand.Uint32())
	}
	wg.Go(func() {
		if _, err := far.Write(back); err != nil {
			t.Error(err)
		}
	})
	got := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(far)
		got <- b
	}()
	here := make([]byte, len(back))
	if _, err := io.ReadFull(near, here); err != nil || !bytes.Equal(here, back) {
		t.Errorf("read something else, %v", err)
	}
	wg.Wait()
	near.CloseWrite()
	var count [writers]int
	for _, c := range <-got {
		if c&0x80 == 0 {
			count[c]++
		}
	}
	for w := range writers {
		if count[w] != total[w]-pieces {
			t.Errorf("writer %d wrote %d bytes, %d came", w, total[w]-pieces, count[w])
		}
	}
}

// Errors are those of package net: what waits ends by a deadline and by closing, and the
// end of a connection and its reset are told apart.
func TestConnErrors(t *testing.T) {
	b := make([]byte, 1<<20)
	isOp := func(t *testing.T, err error, op string) {
		t.Helper()
		if e, ok := errors.AsType[*net.OpError](err); !ok || e.Op != op || e.Net != "tcp" || e.Addr == nil {
			t.Errorf("%#v", err)
		}
	}
	t.Run("deadline", func(t *testing.T) {
		near, _ := pair(t)
		near.SetDeadline(time.Now().Add(30 * time.Millisecond))
		_, err := near.Read(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !err.(net.Error).Timeout() {
			t.Errorf("read: %v", err)
		}
		isOp(t, err, "read")
		n := 0
		for err = nil; err == nil; {
			var k int
			k, err = near.Write(b)
			n += k
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || n > 1<<30 {
			t.Errorf("write: %d bytes, %v", n, err)
		}
		isOp(t, err, "write")
	})
	t.Run("end", func(t *testing.T) {
		near, far := pair(t)
		far.Close()
		if n, err := near.Read(b); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		near, far := pair(t)
		far.SetLinger(0)
		far.Close()
		_, err := near.Read(b)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		isOp(t, err, "read")
		_, err = near.Write(b)
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		near, _ := pair(t)
		done := make(chan error, 1)
		go func() { _, err := near.Read(b); done <- err }()
		time.Sleep(10 * time.Millisecond)
		near.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read that waits: %v", err)
		}
		if _, err := near.Read(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		if _, err := near.Write(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write: %v", err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		near, _ := pair(t)
		if n, err := near.Read(nil); n != 0 || err != nil {
			t.Errorf("read: %d, %v", n, err)
		}
		if n, err := near.Write(nil); n != 0 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
	})
}

// What package net does for connections of its own works as before: several parts with
// one call, files, and TLS above it.
func TestConnIsStillAConnection(t *testing.T) {
	near, far := pair(t)
	parts := net.Buffers{[]byte("one "), []byte("two "), []byte("three")}
	if n, err := parts.WriteTo(near); n != 13 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(" from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := io.Copy(near, f); n != 12 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	b := make([]byte, 25)
	if _, err := io.ReadFull(far, b); err != nil || string(b) != "one two three from a file" {
		t.Errorf("%q, %v", b, err)
	}
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(near, secure.ServerConfig(cert, nil))
	client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	go func() { client.Write(bytes.Repeat([]byte("secret"), 100_000)); client.CloseWrite() }()
	if got, err := io.ReadAll(server); err != nil || len(got) != 600_000 {
		t.Errorf("%d bytes over TLS, %v", len(got), err)
	}
}

// A file whose calls may block is left to package os, whatever it is.
func TestReaderOfWhatMayBlock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	near, far := net.Pipe()
	defer near.Close()
	go func() { far.Write([]byte("abc")); far.Close() }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() { time.Sleep(10 * time.Millisecond); w.Write([]byte("abc")); w.Close() }()
	for what, under := range map[string]io.Reader{"a file": f, "a connection in memory": near, "a pipe": r} {
		if got, err := io.ReadAll(NewReader(under)); string(got) != "abc" || err != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if rawConn(f) != nil || rawConn(near) != nil || rawConn(r) == nil {
		t.Error("the wrong ones are read raw")
	}
}

// Neither reading nor writing allocates.
func TestConnAllocatesNothing(t *testing.T) {
	near, far := pair(t)
	b, c := make([]byte, 70_000), make([]byte, 70_000)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := near.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, c); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write(b[:10]); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Read(c); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

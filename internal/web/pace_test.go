package web

import (
	"bufio"
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/internal/tcpq"
	"framepipe/stream"
)

// A viewer that stood still for a while goes on with what is new: of what was
// captured meanwhile, only what the kernel had taken already is still shown.
func TestStalledViewerGoesOnFresh(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how much is queued")
	}
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	local, _, err := recv.Local("cam")
	if err != nil {
		t.Fatal(err)
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64)), nil); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(New(Config{Cameras: recv}))
	defer s.Close()

	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")

	// The camera: 100 kB each 5 ms.
	ctx, cancel := context.WithCancel(t.Context())
	made := make(chan struct{})
	go func() {
		defer close(made)
		data := append(picture.Bytes(), make([]byte, 100_000)...)
		for n := uint64(1); ctx.Err() == nil; n++ {
			f := frame.New(data, nil)
			f.Format, f.Seq, f.Counts.Offered = frame.JPEG, n, n
			f.Captured = frame.SenderNow()
			f.Dequeued, f.Encoded = f.Captured, f.Captured
			local.Put(f)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	defer func() { cancel(); <-made }()

	in := bufio.NewReader(conn)
	shown := func() float64 { // when the next picture was captured
		t.Helper()
		var at float64
		size := 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				size, _ = strconv.Atoi(strings.TrimSpace(v))
			}
			if v, ok := strings.CutPrefix(line, "X-Timestamp: "); ok {
				at, _ = strconv.ParseFloat(strings.TrimSpace(v), 64)
			}
			if size > 0 && line == "\r\n" {
				break
			}
		}
		if _, err := in.Discard(size); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for range 20 { // buffers have grown to what they like
		shown()
	}
	time.Sleep(time.Second) // 200 frames
	resumed := float64(time.Now().UnixMicro()) / 1e6
	old := 0
	for shown() < resumed {
		old++
	}
	if old > 8 {
		t.Errorf("%d old frames were shown first", old)
	}
	t.Logf("%d old frames were shown first", old)
}

// Who takes nothing at all is not waited for for ever.
func TestPacerGivesUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how much is queued")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const patience = 200 * time.Millisecond
	p := newPacer(conn, patience)
	if err := p.wait(t.Context()); err != nil {
		t.Fatal("nothing is queued:", err)
	}
	tcpq.SetNotsentLowat(conn, 0) // so that more fits than the gate lets through
	buf := make([]byte, 1<<20)
	for range 64 {
		conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Write(buf); err != nil {
			break
		}
	}
	ctx, left := context.WithTimeout(t.Context(), 20*time.Second)
	defer left()
	go func() { // as a viewer's reader does
		conn.Read(buf[:1])
		left()
	}()
	began := time.Now()
	// The closed connection ends the wait, or the reader that notices it does.
	if err := p.wait(ctx); err != nil && err != context.Canceled {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	if _, err := conn.Write(buf[:1]); err == nil {
		t.Error("the connection of a viewer that takes nothing is still open")
	}
	if took := time.Since(began); took < patience {
		t.Errorf("given up after %v", took)
	}
}

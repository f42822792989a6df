package web

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/stream"
)

// parts reads a multipart stream as clients do, and checks each part whole.
type parts struct {
	in   *bufio.Reader
	last uint64
}

// next is the number that stands in the next picture.
func (p *parts) next() (uint64, error) {
	size := -1
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			size, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if size >= 0 && line == "\r\n" {
			break
		}
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(p.in, b); err != nil {
		return 0, err
	}
	var n uint64
	if _, err := fmt.Sscanf(string(b[:20]), "%020d", &n); err != nil || !bytes.Equal(b[20:], picture(n)[20:]) {
		return 0, fmt.Errorf("a picture of %d bytes is damaged (%w)", size, err)
	}
	if n <= p.last {
		return 0, fmt.Errorf("picture %d after picture %d", n, p.last)
	}
	p.last = n
	return n, nil
}

// picture is what stands in for JPEG n: the server does not look inside.
func picture(n uint64) []byte {
	b := bytes.Repeat([]byte{byte(n)}, 30_000+int(n%7)*4000)
	copy(b, fmt.Sprintf("%020d", n))
	return b
}

// lender counts the frames that are out.
type lender struct{ atomic.Int64 }

func (l *lender) Recycle(*frame.Frame) { l.Add(-1) }

// Viewers that keep up, that read slowly, that come and go, and that use TLS all
// get whole pictures in order, and no picture is held by anybody when all have left:
// served by who brings them, by the fan's own goroutine, and now by one, now by the
// other.
func TestFan(t *testing.T) {
	defer func(d time.Duration) { atOnce = d }(atOnce)
	for _, d := range []time.Duration{time.Hour, -1, 60 * time.Microsecond} {
		atOnce = d
		t.Run(d.String(), testFan)
	}
}

func testFan(t *testing.T) {
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	local, _, err := recv.Local("cam")
	if err != nil {
		t.Fatal(err)
	}
	handler := New(Config{Cameras: recv})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	dial := func(s *httptest.Server, buffer int) (net.Conn, *parts) {
		t.Helper()
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.(*net.TCPConn).SetReadBuffer(buffer)
		if s == secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn, &parts{in: bufio.NewReaderSize(conn, 4096)}
	}

	var lent lender
	var n atomic.Int64
	put := func() {
		i := uint64(n.Add(1))
		lent.Add(1)
		f := frame.New(picture(i), &lent)
		f.Format, f.Seq, f.Counts.Offered = frame.JPEG, i, i
		f.Captured = frame.SenderNow()
		f.Dequeued, f.Encoded = f.Captured, f.Captured
		local.Put(f)
	}
	stop := make(chan struct{})
	var camera, viewers sync.WaitGroup
	camera.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				put()
			}
		}
	})
	var got [4]uint64
	for i, kind := range []string{"fast", "slow", "tls", "brief"} {
		viewers.Go(func() {
			server, buffer := plain, 1<<20
			switch kind {
			case "tls":
				server = secure
			case "slow":
				buffer = 16 << 10
			}
			conn, in := dial(server, buffer)
			defer func() { conn.Close() }()
			for k := range 100 {
				if _, err := in.next(); err != nil {
					t.Errorf("%s viewer, picture %d: %v", kind, k, err)
					return
				}
				got[i]++
				switch {
				case kind == "slow":
					time.Sleep(10 * time.Millisecond) // five pictures' time, and little room in its socket
				case kind == "brief" && k%5 == 4:
					conn.Close() // in the middle of whatever is on its way
					conn, in = dial(server, buffer)
				}
			}
		})
	}
	viewers.Wait()
	close(stop)
	camera.Wait()
	feed := recv.Feed("cam")
	for end := time.Now().Add(20 * time.Second); feed.Hub.Viewers() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d viewers are still counted", feed.Hub.Viewers())
		}
	}
	for end := time.Now().Add(20 * time.Second); lent.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d pictures are still held", lent.Load(), n.Load())
		}
	}
	if got != [4]uint64{100, 100, 100, 100} {
		t.Errorf("pictures seen: %v", got)
	}
}

// Once it runs, handing a frame to viewers that keep up allocates nothing.
func TestFanAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; test/run runs this without it as well")
	}
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	if _, _, err := recv.Local("cam"); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Cameras: recv})
	feed := recv.Feed("cam")
	const watching = 3
	var reads sync.WaitGroup
	seen := make(chan int, 64)
	for range watching {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		far, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := ln.Accept()
		ln.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		defer s.join(feed, newViewer(conn, false))()
		reads.Go(func() {
			b := make([]byte, 64<<10)
			for {
				k, err := far.Read(b)
				if err != nil {
					return
				}
				seen <- k
			}
		})
	}
	f := frame.New(picture(1), nil)
	f.Format, f.Seq = frame.JPEG, 1
	f.Captured = frame.SenderNow()
	once := func() {
		feed.Hub.Publish(f)
		for left := watching * len(f.Data); left > 0; {
			left -= <-seen
		}
	}
	once()
	if n := testing.AllocsPerRun(200, once); n > 0.5 {
		t.Errorf("%v allocations a frame", n)
	}
}

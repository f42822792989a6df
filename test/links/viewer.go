package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/internal/web"
	"framepipe/stream"
)

// viewerSpecs are a viewer of the web server behind a link that is too slow: the
// rate and queue of a home's, and JPEGs of which it carries 15 in a second. The
// link is the emulator's and, which is what the goal is about, the kernel's.
func viewerSpecs(duration time.Duration) []spec {
	emulated := spec{
		link:     linkCase{"viewer", "rate=35mbit,queue=1MB", "35 Mbit/s, queue 1 MB, no delay, between web server and viewer"},
		frame:    frameCase{name: "278kB", bytes: 278_000, fps: 30},
		duration: duration,
		viewer:   "http",
	}
	kernel := emulated
	kernel.tbf = true
	kernel.link = linkCase{"tbf", "", "the same by the kernel's token bucket in a router, not emulated"}
	all := []spec{emulated, kernel}
	for _, s := range all[:2] {
		s.viewer = "websocket"
		all = append(all, s)
	}
	return all
}

// stampSize is a COM segment (ITU-T T.81, B.2.4.5) that holds a capture stamp and
// a frame's number, right behind SOI.
const stampSize = 2 + 2 + 8 + 8

func stamp(b []byte, captured frame.SenderTime, seq uint64) {
	b = append(b[:2], 0xff, 0xfe, 0, stampSize-2)
	b = binary.BigEndian.AppendUint64(b, uint64(captured))
	binary.BigEndian.AppendUint64(b, seq)
}

func readStamp(b []byte) (captured time.Duration, seq uint64, err error) {
	if len(b) < 2+stampSize || b[2] != 0xff || b[3] != 0xfe {
		return 0, 0, errors.New("the viewer got a picture that the camera did not make")
	}
	return time.Duration(binary.BigEndian.Uint64(b[6:])), binary.BigEndian.Uint64(b[14:]), nil
}

// overHTTP shows a camera of the web server's own machine, on side A, to a viewer
// on side B.
func overHTTP(ctx context.Context, c spec, seed uint64, link *netem.Link) (*result, error) {
	address := link.A.Addr
	if c.tbf {
		remove, err := routeThroughTBF(link)
		if err != nil {
			return nil, err
		}
		defer remove() // the next New would, too
		address = tbfAddrs[netem.A]
	}
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	local, _, err := recv.Local("cam")
	if err != nil {
		return nil, err
	}
	ln, err := link.ListenIn(netem.A, "tcp", ":0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: web.New(web.Config{Cameras: recv, Version: "links"})}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(ln) }()
	defer func() { server.Close(); <-served }()

	conn, err := link.DialIn(ctx, netem.B, "tcp", fmt.Sprintf("%v:%d", address, ln.Addr().(*net.TCPAddr).Port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(c.duration + drain))
	open := openStream
	if c.viewer == "websocket" {
		open = openPage
	}
	next, err := open(ctx, conn, 2*c.frame.bytes)
	if err != nil {
		return nil, err
	}
	r := &result{spec: c}
	watched := make(chan error, 1)
	go func() { // ends when the connection is closed
		for {
			f, err := next()
			if err != nil {
				watched <- err
				return
			}
			r.frames = append(r.frames, f)
		}
	}()

	source := newSource(c.frame, seed)
	// Room for the stamp behind SOI; what follows moves back.
	source.random = append(append(append([]byte{}, source.random[:2]...), make([]byte, stampSize)...), source.random[2:]...)
	source.start = frame.SenderNow()
	r.Start = source.start
	for frame.SenderNow().Sub(source.start) < c.duration {
		f, err := source.next(ctx)
		if err != nil {
			return nil, err
		}
		stamp(f.Data, f.Captured, f.Seq)
		local.Put(f)
	}
	conn.Close()
	if err := <-watched; !errors.Is(err, net.ErrClosed) {
		return nil, fmt.Errorf("the viewer: %w", err)
	}
	for i := 1; i < len(r.frames); i++ {
		if a, b := r.frames[i-1], r.frames[i]; b.seq <= a.seq {
			return nil, fmt.Errorf("frame %d was shown after frame %d", b.seq, a.seq)
		}
	}
	if len(r.frames) == 0 {
		return nil, errors.New("the viewer saw no frame")
	}
	return r, nil
}

// openStream asks for /stream, as an <img> and most programs do. Next returns the
// next picture, of so many bytes at most.
func openStream(_ context.Context, conn net.Conn, most int) (next func() (delivered, error), err error) {
	if _, err := io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: links\r\n\r\n"); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	if err := skipHeader(in, "HTTP/1.1 200 "); err != nil {
		return nil, err
	}
	buf := make([]byte, most)
	return func() (delivered, error) { return readPart(in, buf) }, nil
}

// openPage asks for the frames as the page does (docs/page.md), and acknowledges
// each as if it had been shown at once.
func openPage(ctx context.Context, conn net.Conn, most int) (next func() (delivered, error), err error) {
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	ws, _, err := websocket.Dial(ctx, "ws://links/cameras/cam/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(most) + 1000)
	return func() (f delivered, err error) {
		for {
			kind, b, err := ws.Read(context.Background())
			if err != nil {
				return f, errors.Join(err, net.ErrClosed) // the library does not tell why
			}
			now := frame.ReceiverNow()
			const frameKind, pingKind, ackKind, pongKind = 1, 2, 1, 2
			if kind != websocket.MessageBinary || len(b) < 24 {
				continue
			}
			answer := make([]byte, 24)
			answer[0] = b[0]
			binary.LittleEndian.PutUint64(answer[8:], uint64(now))
			binary.LittleEndian.PutUint64(answer[16:], uint64(now))
			copy(answer[4:8], b[4:8])
			switch b[1] {
			case pingKind:
				answer[1] = pongKind
			case frameKind:
				answer[1] = ackKind
			}
			if err := ws.Write(context.Background(), websocket.MessageBinary, answer); err != nil {
				return f, errors.Join(err, net.ErrClosed)
			}
			if b[1] != frameKind {
				continue
			}
			picture := b[binary.LittleEndian.Uint16(b[2:]):]
			f.last, f.bytes = time.Duration(now), len(picture)
			f.captured, f.seq, err = readStamp(picture)
			return f, err
		}
	}, nil
}

// skipHeader reads lines to an empty one; the first must begin in a certain way.
func skipHeader(in *bufio.Reader, first string) error {
	_, err := lengthInHeader(in, first)
	return err
}

// lengthInHeader reads lines to an empty one and returns the Content-Length.
func lengthInHeader(in *bufio.Reader, first string) (n int, err error) {
	for i := 0; ; i++ {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		line = strings.TrimSpace(line)
		if i == 0 && !strings.HasPrefix(line, first) {
			return 0, fmt.Errorf("%q instead of %q", line, first)
		}
		if line == "" {
			return n, nil
		}
		if length, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			if n, err = strconv.Atoi(length); err != nil {
				return 0, err
			}
		}
	}
}

// readPart reads one picture of a multipart stream.
func readPart(in *bufio.Reader, buf []byte) (f delivered, err error) {
	n, err := lengthInHeader(in, "--")
	if err != nil {
		return f, err
	}
	if n <= 0 || n > len(buf) {
		return f, fmt.Errorf("a picture of %d bytes", n)
	}
	if _, err := io.ReadFull(in, buf[:n]); err != nil {
		return f, err
	}
	f.last = time.Duration(frame.ReceiverNow())
	if f.captured, f.seq, err = readStamp(buf[:n]); err != nil {
		return f, err
	}
	f.bytes = n
	_, err = in.Discard(len("\r\n"))
	return f, err
}

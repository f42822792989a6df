//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/mjpeg"
)

const camAddress = "127.0.0.1:8081"

// camera is a network camera (MJPEG over HTTP) in the sender's namespace, that can
// be pulled out, plugged in again with another size, and fall silent.
type camera struct {
	link    *netem.Link
	network func() (net.Listener, error) // where it is to be found; nil = in the sender's namespace
	addr    string                       // likewise
	silent  atomic.Bool
	change  func([]byte) []byte // what is done to each picture; nil = nothing

	mu    sync.Mutex
	srv   *http.Server // guarded by mu; nil = unplugged
	conns []net.Conn   // guarded by mu
	wg    sync.WaitGroup
}

// plug makes the camera give pictures of this size.
func (c *camera) plug(w, h int) error {
	pictures, err := pictures(w, h)
	if err != nil {
		return err
	}
	for i, p := range pictures {
		if c.change != nil {
			pictures[i] = c.change(p)
		}
	}
	listen := c.network
	if listen == nil {
		listen = func() (net.Listener, error) { return c.link.ListenIn(netem.A, "tcp", camAddress) }
	}
	ln, err := listen()
	if err != nil {
		return err
	}
	c.addr = ln.Addr().String()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, pictures) }),
		ConnState: func(nc net.Conn, s http.ConnState) {
			if s == http.StateNew {
				c.mu.Lock()
				c.conns = append(c.conns, nc)
				c.mu.Unlock()
			}
		}}
	c.mu.Lock()
	c.srv = srv
	c.mu.Unlock()
	c.wg.Go(func() { _ = srv.Serve(ln) })
	return nil
}

func (c *camera) serve(w http.ResponseWriter, r *http.Request, pictures [][]byte) {
	w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
	tick := time.NewTicker(time.Second / 30)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		if c.silent.Load() {
			continue
		}
		p := pictures[i%len(pictures)]
		if _, err := fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(p), p); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}

// away unplugs it: nobody answers any more, and what was connected breaks.
func (c *camera) away() {
	c.mu.Lock()
	srv, conns := c.srv, c.conns
	c.srv, c.conns = nil, nil
	c.mu.Unlock()
	if srv == nil {
		return
	}
	for _, nc := range conns {
		if tc, ok := nc.(*net.TCPConn); ok {
			_ = tc.SetLinger(0)
		}
		nc.Close()
	}
	srv.Close()
	c.wg.Wait()
}

// pictures draws a few frames.
func pictures(w, h int) (out [][]byte, err error) {
	enc := mjpeg.NewEncoder()
	for n := range 5 {
		f := frame.New(make([]byte, w*h), nil)
		f.Format, f.Width, f.Height = frame.GREY, w, h
		for i := range f.Data {
			f.Data[i] = byte(i%w + i/w + 20*n)
		}
		b, err := enc.Encode(nil, f, 85)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

package web

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/stream"
)

const (
	boundary      = "framepipe-boundary"
	viewerTimeout = 30 * time.Second // a viewer that reads nothing for so long is gone
)

// stream serves multipart/x-mixed-replace. The connection is taken over from
// net/http, so that header and frame leave in one system call from the buffer
// that all viewers share.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	h := w.Header()
	h.Set("Content-Type", "multipart/x-mixed-replace; boundary="+boundary)
	h.Set("Pragma", "no-cache")
	if r.Method == http.MethodHead {
		return
	}
	h.Set("Connection", "close")
	id, key := rand.Uint64(), clientKey(r)
	if key != "0" {
		h.Set("Set-Cookie", fmt.Sprintf("stream_client=%s/%x; Path=/; Max-Age=30; SameSite=Strict", key, id))
	}
	hj, ok := w.(http.Hijacker)
	if !ok {
		fail(w, http.StatusInternalServerError, "this connection cannot be streamed over")
		return
	}
	conn, rw, err := hj.Hijack()
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	rw.WriteString("HTTP/1.1 200 OK\r\n")
	h.Write(rw)
	rw.WriteString("\r\n")
	defer s.cfg.Conns.leave(conn)
	if err := rw.Flush(); err != nil {
		conn.Close()
		return
	}
	v := newViewer(conn, early(r))
	v.id, v.key = id, key
	leave := s.join(f, v)
	defer leave()
	// A viewer says nothing; reading finds out when it leaves.
	var b [64]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			return
		}
	}
}

// early tells whether to send the next part's headers right behind each frame.
// Chromium shows a part only when the next one's headers have come, which is a
// whole frame later otherwise. They cannot tell the length then, so only who
// asks for it, or is a browser's <img>, gets them.
func early(r *http.Request) bool {
	switch r.URL.Query().Get("early") {
	case "1", "true":
		return true
	case "0", "false":
		return false
	}
	return r.URL.Query().Get("advance_headers") == "1" || r.Header.Get("Sec-Fetch-Dest") == "image"
}

// shared encodes a raw camera's frames: each at most once, by whichever viewer
// comes first, and only while somebody looks.
type shared struct {
	mu   sync.Mutex
	enc  mjpeg.Encoder
	pool frame.Pool
	of   frame.ReceiverTime // LastByte of the frame that out shows
	out  *frame.Frame
	err  error
}

// jpeg returns the frame as JPEG, with a reference for the caller.
func (s *Server) jpeg(f *stream.Feed, fr *frame.Frame) (*frame.Frame, error) {
	switch fr.Format {
	case frame.JPEG:
		return fr.Retain(), nil
	case 0:
		return nil, fmt.Errorf("frames of camera %s are of no format that can be shown", f.Name())
	}
	s.mu.Lock()
	e := s.encoders[f]
	if e == nil {
		known := s.cfg.Cameras.Feeds()
		maps.DeleteFunc(s.encoders, func(f *stream.Feed, _ *shared) bool { return !slices.Contains(known, f) })
		e = &shared{enc: mjpeg.NewEncoder()}
		s.encoders[f] = e
	}
	s.mu.Unlock()
	return e.encode(fr, s.cfg.Quality)
}

func (e *shared) encode(fr *frame.Frame, quality int) (*frame.Frame, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == fr.LastByte {
		if e.err != nil {
			return nil, e.err
		}
		return e.out.Retain(), nil
	}
	if e.out != nil {
		e.out.Release()
		e.out = nil
	}
	out := e.pool.Get(len(fr.Data)/4 + 4096)
	b, err := e.enc.Encode(out.Data[:0], fr, quality)
	e.of, e.err = fr.LastByte, err
	if err != nil {
		out.Release()
		return nil, err
	}
	out.Data = b
	out.Meta = fr.Meta
	out.Format, out.Stride = frame.JPEG, 0
	e.out = out
	return out.Retain(), nil
}

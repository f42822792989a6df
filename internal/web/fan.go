package web

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/frame"
	"framepipe/stream"
)

// fan hands one camera's frames to all who watch its multipart stream: for each
// frame, one system call for each viewer that keeps up, with headers made once, and
// no goroutine woken. Who does not keep up is left to a goroutine of its own until it
// does again, so nobody waits for anybody.
//
// Waking a goroutine for each viewer and frame instead took 1.45 times the
// processor time of the system calls alone at a hundred viewers. Even one that is
// woken for each frame costs as much as the calls for two viewers: Go wakes a thread
// to look for more work each time. So the goroutine that brings a frame serves it
// while that takes less than atOnce, and the fan's own one what takes longer, or is
// to be encoded first.
type fan struct {
	server  *Server
	feed    *stream.Feed
	sub     *stream.Viewer
	viewers atomic.Pointer[[]*viewer] // replaced, never changed; written with Server.mu held
	stop    chan struct{}
	done    chan struct{}
	took    atomic.Int64 // time.Duration that the last frame took

	mu   sync.Mutex // taken by who serves a frame, before it takes it from sub: frames keep their order
	part part       // guarded by mu
}

// atOnce is how long a camera's next frame may have to wait for the viewers of this
// one: little beside the time between two. Tests change it.
var atOnce = 2 * time.Millisecond

// join adds a viewer to its camera's fan, and returns what takes it out again,
// closes its connection and waits until nobody uses that. The first one starts the
// fan, the last one ends it.
func (s *Server) join(f *stream.Feed, v *viewer) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.fans[f]
	if n == nil {
		n = &fan{server: s, feed: f, stop: make(chan struct{}), done: make(chan struct{})}
		n.viewers.Store(new([]*viewer))
		n.mu.Lock() // now may be called at once
		n.sub = f.Hub.SubscribeDirect(n.now)
		n.mu.Unlock()
		s.fans[f] = n
		go n.run()
	}
	v.next.feed = f
	n.set(append(slices.Clone(*n.viewers.Load()), v))
	return func() {
		v.close()
		s.mu.Lock()
		rest := slices.DeleteFunc(slices.Clone(*n.viewers.Load()), func(o *viewer) bool { return o == v })
		n.set(rest)
		if len(rest) > 0 {
			s.mu.Unlock()
			return
		}
		delete(s.fans, f)
		s.mu.Unlock()
		close(n.stop)
		<-n.done
	}
}

// set replaces the viewers; the caller holds Server.mu.
func (n *fan) set(viewers []*viewer) {
	n.viewers.Store(&viewers)
	n.sub.StandFor(len(viewers))
}

// run serves until the last viewer left.
func (n *fan) run() {
	defer close(n.done)
	defer n.sub.Close()
	for {
		select {
		case <-n.stop:
			return
		case <-n.sub.Ready():
		}
		n.mu.Lock()
		if fr := n.sub.TryNext(); fr != nil {
			if j, err := n.server.jpeg(n.feed, fr); err == nil { // else it was counted where it came in; the next one may be better
				n.serve(j)
				j.Release()
			}
			fr.Release()
		}
		n.mu.Unlock()
	}
}

// now serves a frame on the goroutine that brings it, if it can.
func (n *fan) now(fr *frame.Frame) bool {
	if fr.Format != frame.JPEG || n.took.Load() > int64(atOnce) || !n.mu.TryLock() {
		return false
	}
	defer n.mu.Unlock()
	if n.sub.Waiting() { // it is older, and to be replaced
		return false
	}
	n.serve(fr)
	return true
}

// serve offers a JPEG to all viewers; the caller holds mu.
func (n *fan) serve(j *frame.Frame) {
	began := frame.ReceiverNow()
	n.part.make(n.feed, j)
	for _, v := range *n.viewers.Load() {
		v.offer(&n.part)
	}
	n.took.Store(int64(frame.ReceiverNow() - began))
}

const (
	partHead = "--" + boundary + "\r\nContent-Type: image/jpeg\r\n"
	partEnd  = "\r\n"
)

// nextHead ends a part for viewers that want the next one's headers early.
var nextHead = []byte(partEnd + partHead + partEnd)

// part is a frame as it is sent.
type part struct {
	feed   *stream.Feed
	frame  *frame.Frame // borrowed
	head   []byte
	second int64 // of the wall clock, in which it is sent
}

func (p *part) make(f *stream.Feed, j *frame.Frame) {
	b := append(p.head[:0], partHead+"Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(j.Data)), 10)
	b = append(b, "\r\nX-Timestamp: "...)
	b = appendTimestamp(b, f, j)
	p.feed, p.frame, p.head, p.second = f, j, append(b, "\r\n\r\n"...), time.Now().Unix()
}

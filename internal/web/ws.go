package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/measure"
	"framepipe/stream"
)

const (
	wsInFlight  = 2                // frames that were sent and not acknowledged
	wsSilence   = 30 * time.Second // a viewer that says nothing for so long, not even to pings, is gone
	pingFirst   = 10               // pings follow each other closely until so many were answered; then the clock is known
	pingQuick   = 100 * time.Millisecond
	pingEvery   = 250 * time.Millisecond // the best of each two seconds counts
	pingLate    = 2 * time.Second        // by then a ping goes out even while frames are on their way
	pingGivenUp = 10 * time.Second       // an answer that comes later tells nothing
	unknownRes  = time.Millisecond       // resolution of a viewer's clock before it told
	wsTick      = 100 * time.Millisecond // how often the loop looks at its times
	wsRarely    = time.Second            // while frames make it look
)

// wsViewer is one viewer of the page. The handler's goroutine sends, a second
// one that it awaits reads.
type wsViewer struct {
	id      uint64
	remote  string
	since   time.Time
	conn    *websocket.Conn
	pace    *pacer
	feed    *stream.Feed
	all     *looks
	sub     *stream.Viewer
	display *measure.Display
	clock   clocksync.Estimator
	wake    chan struct{} // capacity 1: an acknowledgement came, or it looks again

	// Owned by the handler's goroutine.
	buf    []byte // the message being written; kept, so that a frame allocates nothing
	number uint32 // of the newest message
	pinged frame.ReceiverTime
	dog    *time.Timer // ends a write that takes too long

	told time.Time // when the viewer was last told its state

	mu         sync.Mutex
	flight     [wsInFlight]sentFrame // guarded by mu, as all below
	flying     int
	sent       uint64
	looking    bool
	unseen     uint64 // frames that the slot dropped while it did not look
	away       uint64 // what the slot had dropped when it looked away
	heard      frame.ReceiverTime
	resolution time.Duration
	asked      uint32 // id of the newest ping
	ping       uint32 // id of the one that is not answered yet; 0 = none
	pingAt     frame.ReceiverTime
	pongs      int
}

// sentFrame is a frame that a viewer has not acknowledged.
type sentFrame struct {
	number    uint32
	captured  frame.ReceiverTime
	bound     time.Duration
	delivered frame.ReceiverTime
	sent      frame.ReceiverTime
}

// ws serves frames to the page. See wsproto.go for the messages.
func (s *Server) ws(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	if why := foreign(r); why != "" {
		fail(w, http.StatusForbidden, "frames go to this server's own page only: "+why)
		return
	}
	v := &wsViewer{id: s.viewerID.Add(1), remote: r.RemoteAddr, since: time.Now(), feed: f, all: s.looks(f), display: measure.NewDisplay(),
		wake: make(chan struct{}, 1), looking: true, heard: frame.ReceiverNow(), resolution: unknownRes}
	v.sub = f.Hub.Subscribe()
	defer v.sub.Close()
	if !v.all.enter(v) {
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("camera %s has %d viewers, which is the most", f.Name(), maxViewers))
		return
	}
	defer v.all.leave(v)
	under := &hijacked{ResponseWriter: w}
	defer func() { s.cfg.Conns.leave(under.conn) }()
	conn, err := websocket.Accept(under, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	v.conn, v.pace = conn, newPacer(under.conn, wsSilence)
	conn.SetReadLimit(wsSize + 1) // one more, so that a message that is too long is told from one that ends there
	// Reads and writes get no context of their own, which would cost memory each
	// time; the connection is closed under them instead.
	v.dog = time.AfterFunc(wsSilence, func() { conn.CloseNow() })
	defer v.dog.Stop()
	stop := context.AfterFunc(r.Context(), func() { conn.CloseNow() })
	defer stop()
	gone := make(chan error, 1)
	watching, left := context.WithCancel(r.Context())
	go func() {
		defer left()
		gone <- v.read()
	}()
	err, read := v.run(watching, s, gone)
	if violation, ok := errors.AsType[*violation](err); ok {
		s.cfg.Log.Warn("viewer sent away", "viewer", v.remote, "cause", violation.Error())
		conn.Close(websocket.StatusPolicyViolation, violation.Error())
	}
	conn.CloseNow()
	if !read {
		<-gone
	}
}

// hijacked remembers the connection that is taken over, which the WebSocket
// library does not show.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

// violation is a message that no viewer of ours sends.
type violation struct{ text string }

func (v *violation) Error() string { return v.text }

func violated(format string, a ...any) error { return &violation{fmt.Sprintf(format, a...)} }

// run sends until the viewer is gone. Read reports whether its reader has ended.
func (v *wsViewer) run(watching context.Context, s *Server, gone <-chan error) (err error, read bool) {
	hello := fmt.Appendf(nil, `{"version":%d,"viewer":%d,"camera":%q}`, wsVersion, v.id, v.feed.Name())
	if err := v.write(websocket.MessageText, hello); err != nil {
		return err, false
	}
	tick := time.NewTimer(wsTick)
	defer tick.Stop()
	seen := v.number
	for {
		var ready <-chan struct{}
		if v.wants() {
			ready = v.sub.Ready()
		}
		select {
		case err := <-gone:
			return err, true
		case <-v.wake:
		case <-tick.C:
			if v.silent() {
				return errors.New("silent"), false
			}
			next := wsTick
			if v.number != seen { // frames come, and with each the loop looks at its times
				next = wsRarely
			}
			seen = v.number
			tick.Reset(next)
		case <-ready:
			// Behind what the kernel still holds, a ping would wait as long as here.
			if v.pace.wait(watching) != nil {
				return <-gone, true
			}
			if fr := v.sub.TryNext(); fr != nil {
				err = v.frame(s, fr)
			}
		}
		if err == nil {
			err = v.maybePing()
		}
		if err == nil {
			err = v.tell()
		}
		if err != nil {
			return err, false
		}
	}
}

// wants reports whether the viewer can take another frame.
func (v *wsViewer) wants() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.looking && v.flying < wsInFlight
}

func (v *wsViewer) silent() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return frame.ReceiverNow().Sub(v.heard) > wsSilence
}

// frame sends a frame; it takes over the reference. One that cannot be shown is
// passed over: it was counted where it came in.
func (v *wsViewer) frame(s *Server, fr *frame.Frame) error {
	source := fr.Format
	j, err := s.jpeg(v.feed, fr)
	fr.Release()
	if err != nil {
		return nil
	}
	v.number++
	sf := sentFrame{number: v.number, bound: -1, delivered: j.Delivered, sent: frame.ReceiverNow()}
	if o := v.feed.Clock(); o.Known && j.Captured != 0 {
		sf.captured, sf.bound = o.ToReceiver(j.Captured), o.ErrorAt(j.Captured)
	}
	v.mu.Lock()
	h := wsHeader{number: v.number, captured: sf.captured, bound: sf.bound, sent: sf.sent, dropped: v.dropped(), source: source}
	v.flight[v.flying] = sf
	v.flying++
	v.sent++
	v.mu.Unlock()
	v.buf = appendFrameHeader(v.buf[:0], &h, &j.Meta)
	v.buf = append(v.buf, j.Data...)
	j.Release()
	return v.write(websocket.MessageBinary, v.buf)
}

// maybePing asks for the viewer's clock now and then: often at first, and best
// when nothing else is on its way, for then the answer is quick.
func (v *wsViewer) maybePing() error {
	now := frame.ReceiverNow()
	v.mu.Lock()
	every := pingEvery
	if v.pongs < pingFirst {
		every = pingQuick
	}
	since := now.Sub(v.pinged)
	due := since >= every && (v.flying == 0 || since >= pingLate || every == pingQuick)
	if v.ping != 0 && since < pingGivenUp {
		due = false
	}
	if !due {
		v.mu.Unlock()
		return nil
	}
	v.asked++
	id := v.asked
	v.ping = id
	v.pinged, v.pingAt = now, frame.ReceiverNow()
	v.mu.Unlock()
	v.buf = appendPing(v.buf[:0], id)
	return v.write(websocket.MessageBinary, v.buf)
}

// tell tells the viewer once a second what it was shown, as /state does.
func (v *wsViewer) tell() error {
	if time.Since(v.told) < time.Second {
		return nil
	}
	v.told = time.Now()
	b, err := json.Marshal(v.state(frame.ReceiverNow()))
	if err != nil {
		return err
	}
	return v.write(websocket.MessageText, b)
}

func (v *wsViewer) write(t websocket.MessageType, b []byte) error {
	v.dog.Reset(wsSilence)
	err := v.conn.Write(context.Background(), t, b)
	v.dog.Stop()
	return err
}

// read takes the viewer's messages until it is gone.
func (v *wsViewer) read() error {
	var b [wsSize + 1]byte
	for {
		t, r, err := v.conn.Reader(context.Background())
		if err != nil {
			return err
		}
		n, err := io.ReadFull(r, b[:])
		now := frame.ReceiverNow()
		if err != io.ErrUnexpectedEOF && err != io.EOF {
			if err == nil || errors.Is(err, websocket.ErrMessageTooBig) {
				err = violated("a message of more than %d bytes", wsSize)
			}
			return err
		}
		if t != websocket.MessageBinary {
			return violated("a text message")
		}
		m, err := parseMessage(b[:n])
		if err == nil {
			err = v.message(m, now)
		}
		if err != nil {
			return violated("%v", err)
		}
	}
}

func (v *wsViewer) message(m wsMessage, now frame.ReceiverTime) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard = now
	switch m.kind {
	case wsAck:
		return v.acked(m, now)
	case wsPong:
		if m.id == 0 || m.id > v.asked {
			return fmt.Errorf("answer to ping %d, which was not asked", m.id)
		}
		if m.id != v.ping {
			return nil // given up, or answered before
		}
		v.ping = 0
		v.pongs++
		// A clock that is read in steps may be off by a step on both readings:
		// the interval in which the offset lies is that much wider.
		res := frame.ReceiverTime(v.resolution)
		v.clock.Add(clocksync.Sample{T1: v.pingAt - res, T2: frame.SenderTime(m.a), T3: frame.SenderTime(m.b), T4: now + res})
	case wsLook:
		switch look := m.flag == 1; {
		case v.looking && !look:
			v.away = v.sub.Dropped()
		case look && !v.looking:
			v.unseen += v.sub.Dropped() - v.away
			v.awake()
		}
		v.looking = m.flag == 1
	case wsClock:
		v.resolution = time.Duration(m.a)
	}
	return nil
}

// acked books what became of a frame; the caller holds mu.
func (v *wsViewer) acked(m wsMessage, now frame.ReceiverTime) error {
	i := slices.IndexFunc(v.flight[:v.flying], func(f sentFrame) bool { return f.number == m.id })
	if i < 0 {
		return fmt.Errorf("acknowledgement of frame %d, which is not on its way", m.id)
	}
	f := v.flight[i]
	copy(v.flight[i:], v.flight[i+1:v.flying])
	v.flying--
	v.awake()
	switch m.flag {
	case ackOvertaken:
		v.display.Overtaken()
		v.all.display.Overtaken()
		return nil
	case ackFailed:
		v.display.Failed()
		v.all.display.Failed()
		return nil
	}
	shown := measure.Shown{Captured: f.captured, Delivered: f.delivered, CapturedError: f.bound}
	// The first exchanges, while the page is loading, are slow and tell little.
	if o := v.clock.At(now); o.Known && v.pongs >= pingFirst && m.b != 0 {
		at := o.ToReceiver(frame.SenderTime(m.b))
		bound := o.ErrorAt(frame.SenderTime(m.b)) + v.resolution
		if slack := frame.ReceiverTime(bound); at+slack < f.sent || at-slack > now {
			v.display.Implausible()
			v.all.display.Implausible()
		} else {
			shown.Displayed, shown.DisplayedError = at, bound
			if m.a != 0 && m.a <= m.b {
				shown.Drawn = o.ToReceiver(frame.SenderTime(m.a))
			}
		}
	}
	v.display.Shown(shown, now)
	v.all.display.Shown(shown, now)
	return nil
}

// dropped is how many frames were replaced by newer ones before this viewer was
// ready for them, while it looked; the caller holds mu.
func (v *wsViewer) dropped() uint64 {
	n := v.sub.Dropped()
	if !v.looking {
		n = v.away
	}
	return n - v.unseen
}

func (v *wsViewer) awake() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// state describes the viewer.
func (v *wsViewer) state(now frame.ReceiverTime) ViewerState {
	v.mu.Lock()
	s := ViewerState{ID: v.id, Remote: v.remote, Since: v.since, Looking: v.looking, Sent: v.sent, Dropped: v.dropped()}
	v.mu.Unlock()
	s.Displayed = v.display.State(now)
	if o := v.clock.At(now); o.Known {
		st := v.clock.Stats()
		s.Clock = &stream.ClockStatus{OffsetMs: float64(o.Offset) / 1e6, ErrorMs: float64(o.Error) / 1e6, RTTMs: float64(st.RTT) / 1e6, Samples: st.Samples}
		if st.RateKnow {
			ppm := st.Rate * 1e6
			s.Clock.DriftPPM = &ppm
		}
	}
	return s
}

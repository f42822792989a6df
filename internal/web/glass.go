package web

import (
	"context"
	"encoding/json"
	"image/png"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/internal/glass"
	"framepipe/stream"
)

// The page at /glass shows package glass's code and tells, over a WebSocket of JSON
// messages, when it showed which number. The newest page of a camera counts.

const (
	glassTick  = 100 * time.Millisecond // how often the page's clock is asked for
	glassState = 500 * time.Millisecond // how often the page is told
	glassQuiet = 10 * time.Second       // a page that says nothing for so long is gone
	glassMost  = 2000                   // refreshes in one message
)

// glassAsk is what the server says: a question for the page's clock, and now and then
// what was measured.
type glassAsk struct {
	ID    int          `json:"id"`
	State *glass.State `json:"state,omitempty"`
}

// glassAnswer is what the page says: the answer, in milliseconds of its clock, and
// when it painted the numbers first, first+1 and so on.
type glassAnswer struct {
	ID    int       `json:"id"`
	Got   float64   `json:"got"`
	Sent  float64   `json:"sent"`
	First uint16    `json:"first"`
	Shown []float64 `json:"shown"`
}

func pageTime(ms float64) frame.SenderTime { return frame.SenderTime(ms * 1e6) }

func (s *Server) glassPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	http.ServeFileFS(w, r, assets, "assets/glass.html")
}

func (s *Server) glassSocket(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	if why := foreign(r); why != "" {
		fail(w, http.StatusForbidden, "this is for this server's own page: "+why)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(256 << 10)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	watch := glass.Watch(f)
	s.mu.Lock()
	s.glasses[f] = watch
	s.mu.Unlock()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		watch.Run(ctx)
	}()
	asked := make(chan glassAsked, 64)
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		defer cancel()
		for readGlass(ctx, conn, watch.Meter, asked) == nil {
		}
	}()
	tick := time.NewTicker(glassTick)
	defer tick.Stop()
	var told time.Time
	for id := 1; ; id++ {
		ask := glassAsk{ID: id}
		if now := time.Now(); now.Sub(told) >= glassState {
			told = now
			st := watch.State()
			ask.State = &st
		}
		b, err := json.Marshal(ask)
		if err != nil {
			break
		}
		select {
		case asked <- glassAsked{id, frame.ReceiverNow()}:
		default: // the page answers none of them
		}
		if conn.Write(ctx, websocket.MessageText, b) != nil {
			break
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	cancel()
	conn.CloseNow()
	<-reading
	<-watching
}

type glassAsked struct {
	id int
	at frame.ReceiverTime
}

// readGlass takes one message of the page.
func readGlass(ctx context.Context, conn *websocket.Conn, m *glass.Meter, asked <-chan glassAsked) error {
	quiet, cancel := context.WithTimeout(ctx, glassQuiet)
	defer cancel()
	_, b, err := conn.Read(quiet)
	if err != nil {
		return err
	}
	now := frame.ReceiverNow()
	var a glassAnswer
	if err := json.Unmarshal(b, &a); err != nil || len(a.Shown) > glassMost {
		conn.Close(websocket.StatusPolicyViolation, "not a message of the page")
		return context.Canceled
	}
	for {
		select {
		case q := <-asked:
			if q.id < a.ID {
				continue
			}
			if q.id == a.ID {
				res := frame.ReceiverTime(100 * time.Microsecond) // the page's clock has this step
				m.Exchange(clocksync.Sample{T1: q.at - res, T2: pageTime(a.Got), T3: pageTime(a.Sent), T4: now + res})
			}
		default:
		}
		break
	}
	shown := make([]frame.SenderTime, len(a.Shown))
	for i, t := range a.Shown {
		shown[i] = pageTime(t)
	}
	m.Shown(a.First, shown)
	return nil
}

// Glass is what was measured of a camera since the newest page of /glass came; ok is
// false if none did.
func (s *Server) Glass(f *stream.Feed) (w *glass.Watcher, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok = s.glasses[f]
	return w, ok
}

func (s *Server) glassState(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	g, ok := s.Glass(f)
	if !ok {
		fail(w, http.StatusNotFound, "nothing was measured yet: show /glass on a screen that the camera films")
		return
	}
	reply(w, g.State())
}

func (s *Server) glassPicture(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	if g, ok := s.Glass(f); ok {
		if img := g.Picture(); img != nil {
			w.Header().Set("Content-Type", "image/png")
			_ = png.Encode(w, img) // a client that left does not care
			return
		}
	}
	fail(w, http.StatusNotFound, "nothing was seen yet: show /glass on a screen that the camera films")
}

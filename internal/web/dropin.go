package web

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"framepipe/stream"
)

// ustreamer is the part of ustreamer's /state that its clients read (PiKVM,
// OctoPrint and Moonraker plug-ins), beside our own fields. Its documentation:
// github.com/pikvm/ustreamer, README and src/ustreamer/http/server.c.
type ustreamer struct {
	Encoder struct {
		Type    string `json:"type"`
		Quality int    `json:"quality"`
	} `json:"encoder"`
	Source struct {
		Resolution struct {
			Width  int `json:"width"`
			Height int `json:"height"`
		} `json:"resolution"`
		Online     bool    `json:"online"`
		DesiredFPS float64 `json:"desired_fps"`
		FPS        float64 `json:"captured_fps"`
	} `json:"source"`
	Stream struct {
		FPS     float64                 `json:"queued_fps"`
		Clients int                     `json:"clients"` // as many as there are entries in the next
		Stat    map[string]streamClient `json:"clients_stat"`
	} `json:"stream"`
}

// streamClient is one viewer as ustreamer tells of it: whole frames per second over the
// last second. A page of PiKVM's kind finds its own entry by the cookie stream_client,
// KEY/ID, which a stream sets that was asked for with ?key=KEY.
type streamClient struct {
	FPS     uint   `json:"fps"`
	Extra   bool   `json:"extra_headers"` // ustreamer's own headers, which we do not have
	Advance bool   `json:"advance_headers"`
	Dual    bool   `json:"dual_final_frames"` // likewise
	Zero    bool   `json:"zero_data"`         // likewise
	Key     string `json:"key"`
}

const maxKey = 64

// clientKey is what a stream's client calls itself by ?key=, as far as it is fit for
// a cookie; "0" if it does not.
func clientKey(r *http.Request) string {
	key := r.URL.Query().Get("key")
	if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) {
		return "0"
	}
	return key
}

// clients lists everybody who looks at a camera: streams, and viewers of the page.
func (s *Server) clients(f *stream.Feed, displays []ViewerState) map[string]streamClient {
	all := make(map[string]streamClient)
	for _, d := range displays {
		c := streamClient{Key: "0", Advance: true}
		if d.FPS != nil {
			c.FPS = uint(*d.FPS + 0.5)
		}
		all[strconv.FormatUint(d.ID, 16)] = c
	}
	s.mu.Lock()
	n := s.fans[f]
	s.mu.Unlock()
	if n == nil {
		return all
	}
	now := time.Now().Unix()
	for _, v := range *n.viewers.Load() {
		all[strconv.FormatUint(v.id, 16)] = streamClient{FPS: v.rate.read(now), Advance: v.early, Key: v.key}
	}
	return all
}

// secondRate counts frames by whole seconds. One goroutine counts, others read.
type secondRate struct {
	now  atomic.Uint64 // second << 16 | frames in it so far
	last atomic.Uint64 // likewise, of the newest second that is over
}

func (r *secondRate) count(second int64) {
	at := r.now.Load()
	if at>>16 != uint64(second) {
		r.last.Store(at)
		at = uint64(second) << 16
	}
	if at&0xffff < 0xffff {
		at++
	}
	r.now.Store(at)
}

// read tells the frames of the second before this one.
func (r *secondRate) read(second int64) uint {
	for _, at := range []uint64{r.now.Load(), r.last.Load()} {
		if at>>16 == uint64(second-1) {
			return uint(at & 0xffff)
		}
	}
	return 0
}

func ustreamerState(s *stream.Status, clients map[string]streamClient) *ustreamer {
	u := new(ustreamer)
	u.Encoder.Type, u.Encoder.Quality = "CPU", s.Camera.Quality
	if s.Camera.Quality == 0 {
		u.Encoder.Type = "HW" // the camera's own pictures, passed on as they are
	}
	u.Source.Resolution.Width, u.Source.Resolution.Height = s.Camera.Width, s.Camera.Height
	u.Source.Online, u.Source.DesiredFPS, u.Source.FPS = s.Connected, s.Camera.FPS, s.Live.FPS
	u.Stream.FPS, u.Stream.Clients, u.Stream.Stat = s.Live.FPS, len(clients), clients
	return u
}

// allowOrigin lets pages of the origin that --allow-origin names read pictures and
// figures. What changes something stays with our own page, and so do WebSockets.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	if s.cfg.AllowOrigin == "" || r.Header.Get("Origin") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", s.cfg.AllowOrigin)
	h.Set("Access-Control-Expose-Headers", "X-Timestamp, Content-Length")
	if s.cfg.AllowOrigin != "*" {
		h.Add("Vary", "Origin")
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

package web

import (
	"net/http"

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
		FPS     float64 `json:"queued_fps"`
		Clients int     `json:"clients"`
	} `json:"stream"`
}

func ustreamerState(s *stream.Status) *ustreamer {
	u := new(ustreamer)
	u.Encoder.Type, u.Encoder.Quality = "CPU", s.Camera.Quality
	if s.Camera.Quality == 0 {
		u.Encoder.Type = "HW" // the camera's own pictures, passed on as they are
	}
	u.Source.Resolution.Width, u.Source.Resolution.Height = s.Camera.Width, s.Camera.Height
	u.Source.Online, u.Source.DesiredFPS, u.Source.FPS = s.Connected, s.Camera.FPS, s.Live.FPS
	u.Stream.FPS, u.Stream.Clients = s.Live.FPS, s.Viewers
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

// Package web is what `framepipe receive` serves over HTTP: the page, and the
// addresses by which other programs get at the cameras' frames and figures.
// Names and behaviour of the addresses are those that clients of other MJPEG
// servers already use; product documentation lists them.
//
// One goroutine for each camera writes its frames to all who watch its multipart
// stream and keep up (fan); who does not has a goroutine of its own meanwhile, for
// which the newest frame waits. Nobody queues, and nobody slows anybody else.
package web

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"framepipe/frame"
	"framepipe/internal/glass"
	"framepipe/internal/lab"
	"framepipe/internal/record"
	"framepipe/internal/secure"
	"framepipe/measure"
	"framepipe/stream"
	"framepipe/wire"
)

//go:embed assets
var assets embed.FS

// Cameras is what the server shows. A stream.Receiver is one.
type Cameras interface {
	Feeds() []*stream.Feed
	Feed(name string) *stream.Feed
}

// Config is what a Server needs.
type Config struct {
	Cameras     Cameras
	Recorder    *record.Manager // nil = nothing is recorded
	Lab         *lab.Manager    // nil = no experiments
	AllowOrigin string          // pages of which origin may read pictures and figures; "*" = all, "" = our own
	AllowHosts  []string        // names of this server beside addresses and those of local networks
	LocalOnly   bool            // answer machines of local networks only
	Guard       *Guard          // nil = nobody is asked for a token
	Conns       *Conns          // whose limits are shown; nil = none
	Limits      func() []stream.Limit
	LogLimit    func() stream.Limit // of lines that peers cause
	Process     func() any          // what this process holds, for /limits; nil = not shown
	Metrics     http.Handler        // /metrics; nil = none
	// Past is a frame of so long ago, which the caller releases; nil = none is kept.
	Past func(context.Context, *stream.Feed, time.Duration) (*frame.Frame, error)
	// Earlier lists the records of a camera that was here in an earlier run and is not met
	// again; nil = none are kept.
	Earlier        func(camera string) []*measure.Record
	RecordsNotKept func() uint64               // that the disk did not take; nil = none are kept
	Ready          func() bool                 // cameras are accepted; nil = they are
	Reach          func(seen netip.Addr) Reach // how cameras get here, for who asks at this address of the machine; nil = not known
	Version        string
	Quality        int // JPEG quality for raw streams; 0 = 85
	Log            *slog.Logger
}

// Server answers requests. See New.
type Server struct {
	cfg Config
	mux *http.ServeMux

	mu       sync.Mutex
	encoders map[*stream.Feed]*shared        // guarded by mu; of raw feeds that somebody looks at
	fans     map[*stream.Feed]*fan           // guarded by mu; of feeds whose multipart stream somebody watches
	looking  map[*stream.Feed]*looks         // guarded by mu; who looks at what
	glasses  map[*stream.Feed]*glass.Watcher // guarded by mu; the newest of each camera
	viewerID atomic.Uint64                   // of the newest viewer of the page
}

// New returns a handler for everything that `receive --http` serves.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Quality = cmp.Or(cfg.Quality, 85)
	s := &Server{cfg: cfg, mux: http.NewServeMux(), encoders: make(map[*stream.Feed]*shared), fans: make(map[*stream.Feed]*fan), looking: make(map[*stream.Feed]*looks), glasses: make(map[*stream.Feed]*glass.Watcher)}
	if cfg.Lab != nil {
		cfg.Lab.Marked = func(f *stream.Feed, what string) { s.looks(f).mark(what) }
	}
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	static := http.FileServerFS(files)
	s.mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !utf8.ValidString(r.URL.Path) { // which net/http calls its own failure
			http.NotFound(w, r)
			return
		}
		static.ServeHTTP(w, r)
	})))
	s.mux.HandleFunc("GET /{$}", s.root)
	s.mux.HandleFunc("GET /cameras", s.list)
	for path, h := range map[string]func(http.ResponseWriter, *http.Request, *stream.Feed){
		"stream": s.stream, "snapshot": s.snapshot, "state": s.state,
	} {
		s.mux.HandleFunc("GET /cameras/{name}/"+path, s.named(h))
		s.mux.HandleFunc("GET /"+path, s.named(h))
	}
	s.mux.HandleFunc("GET /cameras/{name}/records", s.records)
	s.mux.HandleFunc("GET /records", s.records)
	s.mux.HandleFunc("GET /cameras/{name}/ws", s.named(s.ws))
	s.mux.HandleFunc("GET /cameras/{name}/history", s.named(s.history))
	s.mux.HandleFunc("GET /cameras/{name}/control", s.named(s.state))
	s.mux.HandleFunc("POST /cameras/{name}/control", s.named(s.control))
	s.mux.HandleFunc("GET /cameras/{name}/record", s.named(s.recording))
	s.mux.HandleFunc("POST /cameras/{name}/record", s.named(s.record))
	s.mux.HandleFunc("GET /glass", s.glassPage)
	s.mux.HandleFunc("GET /cameras/{name}/glass", s.named(s.glassState))
	s.mux.HandleFunc("GET /cameras/{name}/glass/picture", s.named(s.glassPicture))
	s.mux.HandleFunc("GET /cameras/{name}/glass/ws", s.named(s.glassSocket))
	s.mux.HandleFunc("GET /recordings", s.recordings)
	s.mux.HandleFunc("GET /recordings/{file}", s.recordingFile)
	s.mux.HandleFunc("GET /experiments", s.experiments)
	s.mux.HandleFunc("POST /experiments", s.startExperiment)
	s.mux.HandleFunc("POST /experiments/check", s.checkExperiment)
	s.mux.HandleFunc("GET /experiments/{id}", s.experiment)
	s.mux.HandleFunc("POST /experiments/{id}/stop", s.stopExperiment)
	s.mux.HandleFunc("POST /experiments/{id}/resume", s.resumeExperiment)
	s.mux.HandleFunc("GET /experiments/{id}/report.html", s.experimentFile)
	s.mux.HandleFunc("GET /experiments/{id}/files", s.experimentFiles)
	s.mux.HandleFunc("GET /experiments/{id}/files/{file...}", s.experimentFile)
	s.mux.HandleFunc("GET /experiments/{id}/folder.zip", s.experimentFolder)
	s.mux.HandleFunc("GET /snapshot.jpg", s.named(s.snapshot))
	s.mux.HandleFunc("GET /stream.mjpg", s.named(s.stream))
	s.mux.HandleFunc("GET /api/stream.mjpeg", s.named(s.stream))
	s.mux.HandleFunc("GET /api/frame.jpeg", s.named(s.snapshot))
	for _, p := range []string{"webcam", "webcam2", "webcam3", "webcam4"} {
		s.mux.HandleFunc("GET /"+p+"/{$}", s.root)
	}
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.HandleFunc("GET /readyz", s.ready)
	if cfg.Metrics != nil {
		s.mux.Handle("GET /metrics", cfg.Metrics)
	}
	s.mux.HandleFunc("GET /limits", s.limits)
	s.mux.HandleFunc("GET /login", s.login)
	s.mux.HandleFunc("POST /login", s.login)
	s.mux.HandleFunc("POST /logout", s.logout)
	s.mux.HandleFunc("GET /me", s.me)
	s.mux.HandleFunc("GET /connect", s.connect)
	s.mux.HandleFunc("GET /connect.png", s.connect)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.Conns.bodyTime())) // net/http's writers can; it reads what is left of a body, wanted or not, and waits for it as long as it is told to
	}
	h := w.Header()
	h.Set("Server", "framepipe/"+s.cfg.Version)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")        // no-referrer would have forms sent with Origin: null
	h.Set("Content-Security-Policy", nothingOfIts) // pages have their own
	if !s.cfg.Conns.fits(w, r) {
		return
	}
	if addr := remote(r); s.cfg.LocalOnly && !secure.Local(addr) {
		fail(w, http.StatusForbidden, fmt.Sprintf("%v is not a local or private address: this server answers it only if it is started with --token", addr))
		return
	}
	if s.cfg.Guard == nil && !s.ourName(r.Host) {
		fail(w, http.StatusMisdirectedRequest, "this server has no such name: ask for it by its address, or start it with --allow-host "+printable(r.Host))
		return
	}
	if !s.admitted(w, r) {
		return
	}
	if s.allowOrigin(w, r) {
		return
	}
	s.mux.ServeHTTP(w, r)
}

// policy lets our pages load from here only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// root is the page, or what mjpg-streamer serves at the same place:
// /?action=stream, /?action=snapshot, either with _N for the Nth camera from 0.
func (s *Server) root(w http.ResponseWriter, r *http.Request) {
	action := r.URL.Query().Get("action")
	if action == "" {
		w.Header().Set("Content-Security-Policy", policy)
		http.ServeFileFS(w, r, assets, "assets/index.html")
		return
	}
	verb, number, _ := strings.Cut(action, "_")
	n := 0
	if number != "" {
		var err error
		if n, err = strconv.Atoi(number); err != nil || n < 0 {
			fail(w, http.StatusBadRequest, fmt.Sprintf("action=%s: what follows the underscore must be a number", action))
			return
		}
	} else if rest, ok := strings.CutPrefix(strings.Trim(r.URL.Path, "/"), "webcam"); ok && rest != "" {
		n, _ = strconv.Atoi(rest)
		n--
	}
	feeds := s.cfg.Cameras.Feeds()
	if n >= len(feeds) {
		s.noCamera(w, action)
		return
	}
	switch verb {
	case "stream":
		s.stream(w, r, feeds[n])
	case "snapshot":
		s.snapshot(w, r, feeds[n])
	default:
		fail(w, http.StatusBadRequest, fmt.Sprintf("unknown action %q: use stream or snapshot", verb))
	}
}

// named finds the camera that a request is about: by its path, by ?src=, or the
// first one.
func (s *Server) named(h func(http.ResponseWriter, *http.Request, *stream.Feed)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := cmp.Or(r.PathValue("name"), r.URL.Query().Get("src"))
		f := s.cfg.Cameras.Feed(name)
		if f == nil {
			s.noCamera(w, name)
			return
		}
		h(w, r, f)
	}
}

func (s *Server) noCamera(w http.ResponseWriter, name string) {
	var names []string
	for _, f := range s.cfg.Cameras.Feeds() {
		names = append(names, f.Name())
	}
	if len(names) == 0 {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "no camera is connected yet")
		return
	}
	fail(w, http.StatusNotFound, fmt.Sprintf("no camera %q; there is %s", printable(name), strings.Join(names, ", ")))
}

func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '?'
		}
		return r
	}, s[:min(len(s), 100)])
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a client that left does not care
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		stream.Status
		Recording  *record.Status `json:"recording,omitempty"`
		Experiment *underway      `json:"experiment,omitempty"`
	}
	all := []entry{}
	for _, f := range s.cfg.Cameras.Feeds() {
		all = append(all, entry{f.Status(), s.cfg.Recorder.Status(f), s.underway(f)})
	}
	reply(w, all)
}

// underway is the experiment that a camera is in.
type underway struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *Server) underway(f *stream.Feed) *underway {
	if st := s.cfg.Lab.On(f.Name()); st != nil {
		return &underway{st.ID, st.Name}
	}
	return nil
}

// state describes a camera, and its viewers: all, or with ?viewer=ID that one.
func (s *Server) state(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	if only, ok := viewerOf(w, r); ok {
		reply(w, s.status(f, only))
	}
}

// viewerOf is the viewer that a request is about: ?viewer=ID; 0 is all.
func viewerOf(w http.ResponseWriter, r *http.Request) (id uint64, ok bool) {
	text := r.URL.Query().Get("viewer")
	if text == "" {
		return 0, true
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		fail(w, http.StatusBadRequest, "viewer="+printable(text)+": viewers are numbered from 1")
		return 0, false
	}
	return id, true
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}

// quietAfter is how long a camera may give nothing and still count as ready.
const quietAfter = 10 * time.Second

// ready says whether cameras are accepted; with ?src=NAME, whether that camera
// is connected and has given a frame within the last seconds.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("src")
	why := ""
	switch f := s.cfg.Cameras.Feed(name); {
	case s.cfg.Ready != nil && !s.cfg.Ready():
		why = "cameras are not accepted"
	case name == "":
	case f == nil:
		why = "the camera was never here"
	case !f.Status().Connected:
		why = "the camera is not connected"
	case frame.ReceiverNow().Sub(f.Meter.Newest()) > quietAfter:
		why = "the camera gives nothing"
	}
	if why != "" {
		fail(w, http.StatusServiceUnavailable, why)
		return
	}
	s.health(w, r)
}

// mayChange answers requests that would change something and may not: a page of
// another origin must not be able to. It cannot send this content type without being
// asked first, and its Origin is not ours.
func mayChange(w http.ResponseWriter, r *http.Request) bool {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "send settings as JSON, with Content-Type: application/json")
		return false
	}
	if why := foreign(r); why != "" {
		fail(w, http.StatusForbidden, "settings can be changed only from this server's own page: "+why)
		return false
	}
	return true
}

// body reads a request of JSON, and answers one that is none.
func body(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is something behind the JSON object")
		}
	}
	if e, big := errors.AsType[*http.MaxBytesError](err); big {
		tooLarge(w, e.Limit)
		return false
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fail(w, http.StatusRequestTimeout, "the request's body took longer than --body-timeout")
		return false
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "settings: "+err.Error())
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // all of it is there, and answering may take longer
	return true
}

// control changes settings of a camera.
func (s *Server) control(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	var set wire.Settings
	if !mayChange(w, r) || !body(w, r, &set) {
		return
	}
	if e := s.underway(f); e != nil && !set.Empty() {
		fail(w, http.StatusConflict, "an experiment is being carried out on this camera, which this would spoil: stop it first ("+e.ID+")")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 15*time.Second)
	defer cancel()
	st, err := f.Control(ctx, set)
	switch {
	case errors.Is(err, stream.ErrNotConnected):
		fail(w, http.StatusServiceUnavailable, err.Error())
	case err != nil:
		fail(w, http.StatusBadGateway, err.Error())
	case st.Error != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		reply(w, st)
	default:
		s.looks(f).mark(settingsText(&set))
		reply(w, st)
	}
}

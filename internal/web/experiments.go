package web

import (
	"archive/zip"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"framepipe/experiment/plan"
	"framepipe/internal/lab"
	"framepipe/stream"
)

// experimentRequest is what starts an experiment: a preset's name or a plan's text,
// and what is changed of it.
type experimentRequest struct {
	Camera  string  `json:"camera"` // "" = the first that is connected
	Preset  string  `json:"preset"`
	Plan    string  `json:"plan"` // YAML
	Quick   bool    `json:"quick"`
	Records *int    `json:"records"`
	Length  *string `json:"record_length"` // 10s
	Repeats *int    `json:"repeats"`
	Seed    *uint64 `json:"seed"`
}

// plan makes a checked plan of the request. Its errors are one line for a person.
func (q *experimentRequest) plan() (*plan.Plan, error) {
	var p *plan.Plan
	var err error
	switch {
	case (q.Preset == "") == (q.Plan == ""):
		return nil, fmt.Errorf("say which experiment: either a preset (%s) or a plan", strings.Join(plan.Presets(), ", "))
	case q.Preset != "":
		found := false
		if p, found, err = plan.Preset(q.Preset, q.Quick); !found {
			return nil, fmt.Errorf("no preset %q; there are %s", printable(q.Preset), strings.Join(plan.Presets(), ", "))
		}
	default:
		if p, err = plan.Parse("plan", []byte(q.Plan)); err == nil && q.Quick {
			p.Quicken()
		}
	}
	if err != nil {
		return nil, err
	}
	if q.Records != nil {
		p.Records = *q.Records
	}
	if q.Repeats != nil {
		p.Repeats = *q.Repeats
	}
	if q.Seed != nil {
		p.Seed = *q.Seed
	}
	if q.Length != nil {
		if p.Length, err = time.ParseDuration(*q.Length); err != nil {
			return nil, fmt.Errorf("record_length %q: write it as 10s or 2m30s", printable(*q.Length))
		}
	}
	p.Name = cmp.Or(p.Name, q.Preset, "plan")
	return p, lab.Fit(p)
}

// experiments lists the presets, and what was and is being measured.
func (s *Server) experiments(w http.ResponseWriter, r *http.Request) {
	type preset struct {
		lab.Outline
		Quick float64 `json:"quick_seconds"`
	}
	var answer struct {
		Possible    bool         `json:"possible"` // --experiments names a folder
		Presets     []preset     `json:"presets"`
		Experiments []lab.Status `json:"experiments"`
	}
	answer.Possible = s.cfg.Lab != nil && s.cfg.Lab.Dir != ""
	for _, name := range plan.Presets() {
		p, _, err := plan.Preset(name, false)
		q, _, err2 := plan.Preset(name, true)
		if err := errors.Join(err, err2); err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		answer.Presets = append(answer.Presets, preset{lab.OutlineOf(p), q.Time().Seconds()})
	}
	answer.Experiments = s.cfg.Lab.List()
	reply(w, answer)
}

// checkExperiment tells what a request amounts to, without starting it. With
// ?explain=1, as the page asks while somebody types, a mistake is an answer and not
// a failure.
func (s *Server) checkExperiment(w http.ResponseWriter, r *http.Request) {
	var q experimentRequest
	if !mayChange(w, r) || !body(w, r, &q) {
		return
	}
	p, err := q.plan()
	switch {
	case err != nil && r.URL.Query().Get("explain") != "":
		reply(w, map[string]string{"error": err.Error()})
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	default:
		reply(w, lab.OutlineOf(p))
	}
}

func (s *Server) startExperiment(w http.ResponseWriter, r *http.Request) {
	var q experimentRequest
	if !mayChange(w, r) || !body(w, r, &q) {
		return
	}
	p, err := q.plan()
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	f := lab.Find(s.cfg.Cameras.Feeds(), q.Camera)
	if f == nil {
		if f = s.cfg.Cameras.Feed(q.Camera); f == nil {
			s.noCamera(w, q.Camera)
			return
		}
	}
	st, err := s.cfg.Lab.Start(f, p)
	if err == nil {
		w.Header().Set("Location", "/experiments/"+st.ID)
	}
	s.answerExperiment(w, http.StatusCreated, st, err)
}

func (s *Server) answerExperiment(w http.ResponseWriter, status int, st lab.Status, err error) {
	_, isPlan := errors.AsType[*plan.Error](err)
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		reply(w, st)
	case isPlan:
		fail(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, lab.ErrNoDir):
		fail(w, http.StatusForbidden, err.Error())
	case errors.Is(err, lab.ErrUnknown):
		fail(w, http.StatusNotFound, err.Error())
	case errors.Is(err, lab.ErrBusy), errors.Is(err, lab.ErrDone):
		fail(w, http.StatusConflict, err.Error())
	case errors.Is(err, stream.ErrNotConnected):
		fail(w, http.StatusServiceUnavailable, err.Error())
	default:
		fail(w, http.StatusInternalServerError, err.Error())
	}
}

// experiment tells how one stands: ?after=N leaves out messages up to N.
func (s *Server) experiment(w http.ResponseWriter, r *http.Request) {
	after := 0
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.Atoi(text); err != nil || after < 0 {
			fail(w, http.StatusBadRequest, "after="+printable(text)+": messages are numbered from 1")
			return
		}
	}
	st, err := s.cfg.Lab.Status(r.PathValue("id"), after)
	s.answerExperiment(w, http.StatusOK, st, err)
}

// stopExperiment answers when the report of what was measured is there.
func (s *Server) stopExperiment(w http.ResponseWriter, r *http.Request) {
	var nothing struct{}
	if !mayChange(w, r) || !body(w, r, &nothing) {
		return
	}
	st, err := s.cfg.Lab.Stop(r.Context(), r.PathValue("id"))
	s.answerExperiment(w, http.StatusOK, st, err)
}

func (s *Server) resumeExperiment(w http.ResponseWriter, r *http.Request) {
	var nothing struct{}
	if !mayChange(w, r) || !body(w, r, &nothing) {
		return
	}
	st, err := s.cfg.Lab.Resume(r.PathValue("id"))
	s.answerExperiment(w, http.StatusOK, st, err)
}

// experimentFiles lists what is in an experiment's folder.
func (s *Server) experimentFiles(w http.ResponseWriter, r *http.Request) {
	root, err := s.cfg.Lab.Root(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	defer root.Close()
	files := []RecordingFile{}
	err = eachFile(root.FS(), func(name string, info fs.FileInfo) error {
		files = append(files, RecordingFile{name, info.Size(), info.ModTime()})
		return nil
	})
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, files)
}

// eachFile calls f for each regular file of a result folder and its figures.
func eachFile(dir fs.FS, f func(name string, info fs.FileInfo) error) error {
	return fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !e.Type().IsRegular() || strings.HasSuffix(name, ".tmp") {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // replaced just now
			return nil
		}
		if err != nil {
			return err
		}
		return f(name, info)
	})
}

// reportPolicy lets a report show itself: its styles are within it.
const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// kinds of a result folder's files, which nothing is to guess at.
var kinds = map[string]string{".html": "text/html; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv; charset=utf-8",
	".txt": "text/plain; charset=utf-8", ".yaml": "text/plain; charset=utf-8", ".json": "application/json", ".jsonl": "application/jsonl", ".zst": "application/zstd"}

func (s *Server) experimentFile(w http.ResponseWriter, r *http.Request) {
	name := cmp.Or(r.PathValue("file"), "report.html")
	kind, known := kinds[path.Ext(name)]
	root, err := s.cfg.Lab.Root(r.PathValue("id"))
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil || !known {
		text := "no such file in this experiment; …/files lists them"
		if name == "report.html" {
			text = "there is no report yet: it is made when the experiment ends or is stopped"
		}
		fail(w, http.StatusNotFound, text)
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		fail(w, http.StatusNotFound, "no such file in this experiment; …/files lists them")
		return
	}
	w.Header().Set("Content-Type", kind)
	if name == "report.html" {
		w.Header().Set("Content-Security-Policy", reportPolicy)
	}
	http.ServeContent(w, r, name, st.ModTime(), f)
}

// experimentFolder sends the whole folder as a zip.
func (s *Server) experimentFolder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	root, err := s.cfg.Lab.Root(id)
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	defer root.Close()
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": id + ".zip"}))
	z := zip.NewWriter(w)
	err = eachFile(root.FS(), func(name string, info fs.FileInfo) error {
		f, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		h := &zip.FileHeader{Name: id + "/" + name, Modified: info.ModTime(), Method: zip.Deflate}
		if ext := path.Ext(name); ext == ".zst" || ext == ".png" {
			h.Method = zip.Store // packed already
		}
		h.SetMode(0o644)
		to, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.Copy(to, io.LimitReader(f, info.Size())) // it may be growing
		}
		return err
	})
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		s.cfg.Log.Warn("an experiment's folder was sent in part", "experiment", id, "cause", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is cut off
	}
}

package web

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"framepipe/internal/record"
	"framepipe/stream"
)

// recording tells how the camera's recording goes, or went.
func (s *Server) recording(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	st := s.cfg.Recorder.Status(f)
	if st == nil {
		st = new(record.Status)
	}
	reply(w, st)
}

// record starts and ends one.
func (s *Server) record(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	var want struct {
		Recording *bool   `json:"recording"`
		Every     float64 `json:"every_s"` // timelapse
	}
	if !mayChange(w, r) || !body(w, r, &want) {
		return
	}
	switch {
	case want.Recording == nil:
		fail(w, http.StatusBadRequest, `say {"recording":true} or {"recording":false}`)
		return
	case !(want.Every >= 0 && want.Every <= 86400):
		fail(w, http.StatusBadRequest, "every_s is 0 to 86400 seconds")
		return
	case s.cfg.Recorder == nil:
		fail(w, http.StatusForbidden, record.ErrNoDir.Error())
		return
	}
	var st record.Status
	var err error
	if *want.Recording {
		st, err = s.cfg.Recorder.Start(f, time.Duration(want.Every*float64(time.Second)))
	} else {
		st, err = s.cfg.Recorder.Stop(r.Context(), f)
	}
	switch {
	case errors.Is(err, record.ErrNoDir):
		fail(w, http.StatusForbidden, err.Error())
	case err != nil:
		fail(w, http.StatusInternalServerError, err.Error())
	default:
		if *want.Recording {
			s.looks(f).mark("recording")
		}
		reply(w, st)
	}
}

// RecordingFile is a recording that can be fetched from /recordings/NAME.
type RecordingFile struct {
	Name     string    `json:"name"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
}

func (s *Server) recordingsDir() (*os.Root, error) {
	if s.cfg.Recorder == nil || s.cfg.Recorder.Dir == "" {
		return nil, fs.ErrNotExist
	}
	return os.OpenRoot(s.cfg.Recorder.Dir) // nothing outside of it, by whatever path or link
}

func (s *Server) recordings(w http.ResponseWriter, r *http.Request) {
	files := []RecordingFile{}
	if root, err := s.recordingsDir(); err == nil {
		defer root.Close()
		entries, err := fs.ReadDir(root.FS(), ".")
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(e.Name(), ".mkv") {
				files = append(files, RecordingFile{e.Name(), info.Size(), info.ModTime()})
			}
		}
	}
	reply(w, files)
}

func (s *Server) recordingFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	root, err := s.recordingsDir()
	if err != nil || !strings.HasSuffix(name, ".mkv") {
		fail(w, http.StatusNotFound, "no such recording; /recordings lists them")
		return
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		fail(w, http.StatusNotFound, "no such recording; /recordings lists them")
		return
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		fail(w, http.StatusNotFound, "no such recording; /recordings lists them")
		return
	}
	w.Header().Set("Content-Type", "video/x-matroska")
	http.ServeContent(w, r, name, st.ModTime(), f)
}

package web

import (
	"cmp"
	"net/http"

	"framepipe/measure"
	"framepipe/stream"
)

// records lists a camera's newest records, those of earlier runs among them: also of a
// camera that did not come back yet.
func (s *Server) records(w http.ResponseWriter, r *http.Request) {
	name := cmp.Or(r.PathValue("name"), r.URL.Query().Get("src"))
	if s.cfg.Cameras.Feed(name) == nil && s.cfg.Earlier != nil {
		if all := s.cfg.Earlier(name); len(all) > 0 {
			reply(w, all)
			return
		}
	}
	s.named(func(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
		records := f.Records()
		if records == nil {
			records = []*measure.Record{}
		}
		reply(w, records)
	})(w, r)
}

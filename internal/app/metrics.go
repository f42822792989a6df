package app

import (
	"net/http"

	"framepipe/internal/metrics"
)

// metrics answers scrapes of this receiver.
func (r *receiving) metrics() http.Handler {
	src := metrics.Source{Version: Version(), Feeds: r.recv.Feeds, Recorder: &r.recorder, Accepting: r.recv.Accepting,
		Conns: r.recv.Conns, Viewers: r.conns.Count, Limits: r.recv.Limits, ViewLimits: r.conns.Limits}
	if r.guard != nil {
		src.WrongTokens = r.guard.failures.Total
	}
	if r.book != nil {
		src.NotKept = r.book.NotKept
	}
	return metrics.Handler(src)
}

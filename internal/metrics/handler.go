package metrics

import (
	"bytes"
	"net/http"
	"runtime"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

func goVersion() string { return runtime.Version() }

// Handler answers scrapes of src, one at a time. Text or OpenMetrics is chosen by
// what the request accepts. It knows nothing of rights: the server before it does.
func Handler(src Source) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{src}, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return &handler{reg: reg}
}

type handler struct {
	reg prometheus.Gatherer

	mu  sync.Mutex
	out bytes.Buffer // guarded by mu; the memory of one answer serves the next
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	body, format, err := h.encode(r.Header)
	h.mu.Unlock()
	if err != nil {
		http.Error(w, "metrics: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // a client that left does not care
}

// encode makes a whole answer before the first byte is written, so that a figure
// that cannot be had is an error and not half an answer.
func (h *handler) encode(header http.Header) ([]byte, expfmt.Format, error) {
	format := expfmt.NegotiateIncludingOpenMetrics(header)
	families, err := h.reg.Gather()
	if err != nil {
		return nil, format, err
	}
	h.out.Reset()
	e := expfmt.NewEncoder(&h.out, format)
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return nil, format, err
		}
	}
	if c, ok := e.(expfmt.Closer); ok { // OpenMetrics ends with a line of its own
		if err := c.Close(); err != nil {
			return nil, format, err
		}
	}
	return bytes.Clone(h.out.Bytes()), format, nil
}

package metrics

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Handler answers scrapes of src, one at a time. Text or OpenMetrics is chosen by
// what the request accepts. It knows nothing of rights: the server before it does.
func Handler(src Source) http.Handler { return &handler{src: src} }

type handler struct {
	src Source

	mu   sync.Mutex
	page page // guarded by mu
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	form := negotiate(strings.Join(r.Header.Values("Accept"), ","))
	body := h.scrape(form)
	w.Header().Set("Content-Type", form.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // a client that left does not care
}

// scrape makes a whole answer before its first byte is written, so that a slow client
// holds nobody else up. The caller owns it.
func (h *handler) scrape(form syntax) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.page.begin(form)
	h.page.collect(&h.src)
	h.page.runtime()
	h.page.process()
	return bytes.Clone(h.page.end())
}

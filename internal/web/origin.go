package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// foreign tells why a request may come from a page that is not ours, or "". A
// browser names the page that asks in Origin; it must be of the host that was
// asked. That alone does not stop a page whose name was made to point here (DNS
// rebinding): both names are its own then. So a server on loopback, which nobody
// has another name for, answers to addresses and to localhost only.
func foreign(r *http.Request) string {
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return "the page that asks is of another origin"
		}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return ""
	}
	ap, err := netip.ParseAddrPort(local.String())
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return ""
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return ""
	}
	return "this server is on loopback: ask for it as localhost or by its address"
}

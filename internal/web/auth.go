package web

import (
	"html"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"framepipe/internal/secure"
)

// Guard is what a server asks of who comes with a token.
type Guard struct {
	Keys     *secure.Keys
	Failures *secure.Failures
	Connect  string // the connect string, for who may change things
	Plain    bool   // tokens may come in the clear from other machines, too
}

const (
	cookieName   = "framepipe"
	cookieLasts  = 30 * 24 * time.Hour
	loginMost    = 4 << 10 // bytes of a login
	formsPolicy  = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	nothingOfIts = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// open reports whether a request needs no token. Whether one camera is ready is
// for those who may look.
func open(r *http.Request) bool {
	path := r.URL.Path
	return path == "/login" || path == "/healthz" || path == "/readyz" && r.URL.RawQuery == "" || strings.HasPrefix(path, "/assets/")
}

// needs is the right that a request needs. Whatever is not reading changes something.
func needs(r *http.Request) secure.Right {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/connect") {
		return secure.View
	}
	return secure.Control
}

// admitted reports whether a request may go on, and answers it if not.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request) bool {
	g := s.cfg.Guard
	if g == nil || open(r) && r.URL.Path != "/login" {
		return true
	}
	addr := remote(r)
	if r.TLS == nil && !g.Plain && !addr.IsLoopback() {
		s.sendToTLS(w, r)
		return false
	}
	if open(r) {
		return true
	}
	rights, shown := secure.Right(0), false
	if c, err := r.Cookie(cookieName); err == nil {
		rights = g.Keys.CookieRights(c.Value, time.Now())
	}
	if token, ok := credential(r); ok && rights == 0 {
		if err := g.Failures.Allow(addr); err != nil {
			later(w, err)
			return false
		}
		shown = true
		if rights = g.Keys.Rights(token); rights == 0 {
			g.Failures.Failed(addr)
		}
	}
	if need := needs(r); rights&need != 0 {
		return true
	} else if rights != 0 {
		fail(w, http.StatusForbidden, map[secure.Right]string{secure.View: "this token does not allow to look", secure.Control: "this token allows to look, and to change nothing"}[need])
		return false
	}
	navigates := r.Method == http.MethodGet && !shown && strings.Contains(r.Header.Get("Accept"), "text/html")
	if navigates {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return false
	}
	if r.Header.Get("Sec-Fetch-Mode") == "" { // of a page's own requests a browser would make a dialog
		w.Header().Set("WWW-Authenticate", `Basic realm="framepipe", charset="UTF-8"`)
	}
	text := "this receiver asks for a token: log in at /login, or send it as the password of Basic, or as Bearer"
	if shown {
		text = "wrong token"
	}
	fail(w, http.StatusUnauthorized, text)
	return false
}

// credential is the token that a request shows: Bearer, or the password of Basic
// with any name. A token in the address is not read: addresses end in logs.
func credential(r *http.Request) (string, bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(kind, "Bearer")
}

func later(w http.ResponseWriter, err error) {
	if l, ok := err.(*secure.ErrLater); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(l.Wait.Seconds()+1)))
	}
	fail(w, http.StatusTooManyRequests, err.Error())
}

func remote(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// sendToTLS answers a request in the clear: the same port speaks TLS.
func (s *Server) sendToTLS(w http.ResponseWriter, r *http.Request) {
	const text = "with a token, this server speaks https only (the same address; --http-plain allows http)"
	if r.Method == http.MethodGet && r.Header.Get("Authorization") == "" && saneHost(r.Host) {
		w.Header().Set("Location", "https://"+r.Host+r.URL.RequestURI())
		fail(w, http.StatusPermanentRedirect, text)
		return
	}
	fail(w, http.StatusForbidden, text)
}

func saneHost(host string) bool {
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:[]%", r))
	})
}

// loginPage has a place for one message. It is no html/template because that keeps the
// linker from leaving out methods that nobody calls.
var loginPage = func() [2]string {
	b, err := assets.ReadFile("assets/login.html")
	before, after, ok := strings.Cut(string(b), "{{.Message}}")
	if err != nil || !ok {
		panic("assets/login.html: no place for the message")
	}
	return [2]string{before, after}
}()

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	g := s.cfg.Guard
	if g == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	page := func(status int, message string) {
		w.Header().Set("Content-Security-Policy", formsPolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, loginPage[0]+html.EscapeString(message)+loginPage[1])
	}
	if r.Method != http.MethodPost {
		page(http.StatusOK, "")
		return
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		fail(w, http.StatusUnsupportedMediaType, "send the token as a form does")
		return
	}
	if why := foreign(r); why != "" {
		fail(w, http.StatusForbidden, "log in on this server's own page: "+why)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, loginMost)
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, "login: it cannot be read, or is too long")
		return
	}
	addr := remote(r)
	if err := g.Failures.Allow(addr); err != nil {
		w.Header().Set("Retry-After", "2")
		page(http.StatusTooManyRequests, err.Error())
		return
	}
	rights := g.Keys.Rights(strings.TrimSpace(r.PostForm.Get("token")))
	if rights&secure.View == 0 {
		g.Failures.Failed(addr)
		s.cfg.Log.Warn("wrong token at the page", "peer", r.RemoteAddr)
		page(http.StatusUnauthorized, "That is not the token.")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: g.Keys.Cookie(rights, time.Now().Add(cookieLasts)), Path: "/",
		MaxAge: int(cookieLasts.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if why := foreign(r); why != "" {
		fail(w, http.StatusForbidden, why)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// Reach is how cameras get to the receiver.
type Reach struct {
	Address string `json:"address"`         // what `send` takes
	Local   bool   `json:"local,omitempty"` // only cameras of the receiver's own machine
	Name    string `json:"name,omitempty"`  // under which `send` finds it without an address
}

// me tells whoever asks what they may do here, and whether there is a connect string
// for cameras. It is for the page, which shows only what can be done.
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	var me struct {
		MayChange bool `json:"may_change"`
		Connect   bool `json:"connect"`
		Token     bool `json:"token"` // there is a login, and so a way out
		// How cameras without a token get here; absent = not known, or they do not.
		Cameras *Reach `json:"cameras,omitempty"`
	}
	me.MayChange = true
	if g := s.cfg.Guard; g != nil {
		var rights secure.Right
		if c, err := r.Cookie(cookieName); err == nil {
			rights = g.Keys.CookieRights(c.Value, time.Now())
		}
		if token, ok := credential(r); ok && rights == 0 {
			rights = g.Keys.Rights(token) // admitted looked at it before, and counted
		}
		me.MayChange = rights&secure.Control != 0
		me.Connect, me.Token = me.MayChange && g.Connect != "", true
	} else if s.cfg.Reach != nil {
		reach := s.cfg.Reach(localAddr(r))
		me.Cameras = &reach
	}
	reply(w, me)
}

// localAddr is the address of this machine at which a request came in.
func localAddr(r *http.Request) netip.Addr {
	a, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if a == nil {
		return netip.Addr{}
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap.Addr().Unmap()
}

// connect tells who may change things how a camera is connected: the connect
// string, and as a picture.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Guard == nil || s.cfg.Guard.Connect == "" {
		fail(w, http.StatusNotFound, "there is no connect string: cameras need no token")
		return
	}
	if strings.HasSuffix(r.URL.Path, ".png") {
		b, err := secure.QRPicture(s.cfg.Guard.Connect)
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		w.Header().Set("Content-Type", "image/png")
		w.Write(b)
		return
	}
	reply(w, map[string]string{"connect": s.cfg.Guard.Connect})
}

// ourName reports whether a request's Host is a name of this server that no
// stranger can point here (DNS rebinding): an address, localhost, a name without
// a dot, one of a local network's domains, or one that the user named.
func (s *Server) ourName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return true
	}
	for _, d := range []string{".localhost", ".local", ".lan", ".home.arpa", ".internal", ".fritz.box"} {
		if strings.HasSuffix(host, d) {
			return true
		}
	}
	for _, h := range s.cfg.AllowHosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

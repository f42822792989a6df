package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
)

// profileFlag is for who looks for the next bottleneck.
func profileFlag() cli.Flag {
	return &cli.StringFlag{Name: "pprof", Usage: "serve profiles of this program at this `ADDRESS` of the loopback, as in 127.0.0.1:6060 (go tool pprof http://ADDRESS/debug/pprof/profile)"}
}

// profiles serves net/http/pprof until ctx ends, if it was asked for; wait returns
// when that is over. Profiles tell what a program is doing to whoever can read
// them, and making them costs it time: so only on the loopback.
func profiles(ctx context.Context, c *cli.Command, log *slog.Logger) (wait func(), err error) {
	addr := c.String("pprof")
	if addr == "" {
		return func() {}, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, usagef("write it as 127.0.0.1:6060", "--pprof %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("write it as 127.0.0.1:6060; from elsewhere, ssh -L 6060:127.0.0.1:6060", "--pprof %q: profiles are served on the loopback only", addr)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, listenError(err, "--pprof", addr)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: loopbackNames(mux), ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error("profiles are not served any more", "cause", err)
		}
	})
	stop := context.AfterFunc(ctx, func() { s.Close() })
	log.Info("profiles are at http://" + ln.Addr().String() + "/debug/pprof/")
	return func() {
		if stop() { // the program ends for another reason
			s.Close()
		}
		wg.Wait()
	}, nil
}

// loopbackNames answers only to names of the loopback, so that no page in a
// browser of this machine can read profiles through a name of its own.
func loopbackNames(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask for this by an address of the loopback", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

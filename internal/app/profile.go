package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
)

// profileFlag is for who looks for the next bottleneck.
func profileFlag() cli.Flag {
	return &cli.StringFlag{Name: "pprof", Usage: "serve profiles of this program at this `ADDRESS` of the loopback, as in 127.0.0.1:6060 (go tool pprof http://ADDRESS/debug/pprof/profile)"}
}

// profiles serves what net/http/pprof would until ctx ends, if it was asked for; wait returns
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
	mux.HandleFunc("/debug/pprof/{$}", listProfiles)
	mux.HandleFunc("/debug/pprof/profile", timed(pprof.StartCPUProfile, pprof.StopCPUProfile))
	mux.HandleFunc("/debug/pprof/trace", timed(trace.Start, trace.Stop))
	mux.HandleFunc("/debug/pprof/{name}", oneProfile)
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

// The addresses are those of net/http/pprof, as far as go tool pprof and go tool trace
// ask for them. That package also takes the difference of two profiles and draws
// pages, 0.13 MB on machines that never ask, and adds itself to http.DefaultServeMux.

func listProfiles(w http.ResponseWriter, _ *http.Request) {
	for _, p := range pprof.Profiles() {
		fmt.Fprintf(w, "%s\t%d\n", p.Name(), p.Count())
	}
	fmt.Fprint(w, "profile\tof the processor, ?seconds=30\ntrace\t?seconds=30\n")
}

func oneProfile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		http.Error(w, "no such profile; /debug/pprof/ lists them", http.StatusNotFound)
		return
	}
	debug, _ := strconv.Atoi(r.FormValue("debug"))
	if r.FormValue("gc") != "" {
		runtime.GC()
	}
	asFile(w, debug > 0)
	p.WriteTo(w, debug)
}

// timed records for as long as is asked for, 30 s unless told.
func timed(start func(io.Writer) error, stop func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.ParseFloat(cmp.Or(r.FormValue("seconds"), "30"), 64)
		if err != nil || !(seconds > 0 && seconds <= 3600) {
			http.Error(w, "seconds: a number of up to 3600", http.StatusBadRequest)
			return
		}
		asFile(w, false)
		if err := start(w); err != nil { // another one is being recorded
			w.Header().Del("Content-Disposition")
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		defer stop()
		select {
		case <-time.After(time.Duration(seconds * float64(time.Second))):
		case <-r.Context().Done():
		}
	}
}

func asFile(w http.ResponseWriter, text bool) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if text {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment")
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

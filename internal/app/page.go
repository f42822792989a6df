package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"framepipe/internal/lab"
	"framepipe/internal/web"
	"framepipe/measure"
	"framepipe/stream"
)

// serveHTTP serves the page until ctx ends.
func (r *receiving) serveHTTP(ctx context.Context, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return listenError(err, "--http", addr)
	}
	guard := r.webGuard()
	if r.conns == nil {
		r.conns = new(web.Conns)
	}
	r.lab = &lab.Manager{Dir: r.experiments, Software: "framepipe " + Version(), Context: ctx, Feeds: r.recv.Feeds, Log: r.log}
	reach := r.reach
	if r.listens == nil { // cameras do not come by themselves
		reach = nil
	}
	var logLimit func() stream.Limit
	if r.logBudget != nil {
		logLimit = r.logBudget.limit
	}
	var earlier func(string) []*measure.Record
	var notKept func() uint64
	if r.book != nil {
		earlier, notKept = r.book.Of, r.book.NotKept
	}
	r.web = web.New(web.Config{Cameras: r.recv, Earlier: earlier, RecordsNotKept: notKept, Lab: r.lab, Guard: guard, LocalOnly: guard == nil, Conns: r.conns, Limits: r.recv.Limits, LogLimit: logLimit, Reach: reach, Process: func() any { return ownProcess() }, Metrics: r.metrics(), Past: r.past(), Ready: r.recv.Accepting, AllowHosts: r.allowHosts, Recorder: &r.recorder, AllowOrigin: r.allowOrigin, Version: Version(), Log: r.log})
	srv := &http.Server{BaseContext: func(net.Listener) context.Context { return ctx }, // ends connections that were taken over
		Handler: r.web, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	var secured *tls.Config
	if guard != nil {
		secured = r.guard.tls
	}
	ln = r.conns.Serve(srv, ln, secured)
	r.wg.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("the page is gone", "cause", err)
		}
	})
	r.wg.Go(func() {
		<-ctx.Done()
		srv.Close()
		r.lab.Wait() // nothing starts one any more
	})
	r.page = pageAddress(ln.Addr())
	if r.announced != nil {
		r.announced.Page = pageFor(ln.Addr(), guard != nil && !guard.Plain)
	}
	if guard != nil && !guard.Plain {
		r.page = strings.Replace(r.page, "http:", "https:", 1)
	}
	r.log.Info("the page is at " + r.page)
	return nil
}

// pageAddress is what a person types into the browser on this machine.
func pageAddress(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return "http://" + a.String() + "/"
	}
	if ap.Addr().IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d/", ap.Port())
	}
	return "http://" + a.String() + "/"
}

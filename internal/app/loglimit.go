package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"framepipe/stream"
)

// logLines is what peers can make us log in a minute, and at once, unless told. What is
// left out is counted, and the next line says how many that were.
const logLines = 30

// limitLog bounds the lines that are about a peer, which has their number in its
// hand. Others pass.
func limitLog(l *slog.Logger, perMinute int) (*slog.Logger, *logBudget) {
	b := &logBudget{most: float64(perMinute), left: float64(perMinute), at: time.Now()}
	return slog.New(&logLimit{Handler: l.Handler(), shared: b}), b
}

type logLimit struct {
	slog.Handler
	shared *logBudget
	peer   bool // it has the attribute
}

type logBudget struct {
	most float64 // lines a minute, and at once

	mu   sync.Mutex
	left float64   // guarded by mu
	at   time.Time // guarded by mu
	lost uint64    // guarded by mu; since the last line
	all  uint64    // guarded by mu
}

func (b *logBudget) take(now time.Time) (lost uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.most, b.left+now.Sub(b.at).Minutes()*b.most)
	b.at = now
	if b.left < 1 {
		b.lost++
		b.all++
		return 0, false
	}
	b.left--
	lost, b.lost = b.lost, 0
	return lost, true
}

// limit tells of it as of the others.
func (b *logBudget) limit() stream.Limit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return stream.Limit{Name: "max-log-lines", Limit: int64(b.most), Hits: b.all}
}

func aboutPeer(a slog.Attr) bool { return a.Key == "peer" || a.Key == "viewer" }

func (l *logLimit) Handle(ctx context.Context, r slog.Record) error {
	peer := l.peer
	r.Attrs(func(a slog.Attr) bool { peer = peer || aboutPeer(a); return !peer })
	if peer {
		lost, ok := l.shared.take(time.Now())
		if !ok {
			return nil
		}
		if lost > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Uint64("lines_left_out", lost))
		}
	}
	return l.Handler.Handle(ctx, r)
}

func (l *logLimit) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *l
	c.Handler = l.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		c.peer = c.peer || aboutPeer(a)
	}
	return &c
}

func (l *logLimit) WithGroup(name string) slog.Handler {
	c := *l
	c.Handler = l.Handler.WithGroup(name)
	return &c
}

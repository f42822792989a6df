package app

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What peers can make us log: a burst, then one line each so long. What is left
// out is counted, and the next line says how many that were.
const (
	logBurst = 30
	logEvery = 2 * time.Second
)

// limitLog bounds the lines that are about a peer, which has their number in its
// hand. Others pass.
func limitLog(l *slog.Logger) *slog.Logger {
	return slog.New(&logLimit{Handler: l.Handler(), shared: &logBudget{left: logBurst, at: time.Now()}})
}

type logLimit struct {
	slog.Handler
	shared *logBudget
	peer   bool // it has the attribute
}

type logBudget struct {
	mu   sync.Mutex
	left float64   // guarded by mu
	at   time.Time // guarded by mu
	lost uint64    // guarded by mu; since the last line
	all  uint64    // guarded by mu
}

func (b *logBudget) take(now time.Time) (lost uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(logBurst, b.left+float64(now.Sub(b.at))/float64(logEvery))
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

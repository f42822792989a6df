package secure

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// What wrong guesses cost.
const (
	freeGuesses = 5               // an address has so many wrong ones …
	oneForgiven = 2 * time.Second // … and gets one back each so long
	mostKnown   = 4096            // addresses that are remembered
)

// Failures bounds how often an address may guess. The zero value is ready; it is
// safe for concurrent use. It remembers a bounded number of addresses; an IPv6
// address counts as its /64, which one machine has all of.
type Failures struct {
	mu    sync.Mutex
	of    map[netip.Addr]guesses // guarded by mu
	total uint64                 // guarded by mu
}

// guesses leak away with time.
type guesses struct {
	n  float64
	at time.Time
}

func (g guesses) now(t time.Time) float64 {
	return max(0, g.n-float64(t.Sub(g.at))/float64(oneForgiven))
}

func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// ErrLater says that an address has guessed wrong too often.
type ErrLater struct{ Wait time.Duration }

func (e *ErrLater) Error() string {
	return fmt.Sprintf("too many wrong tokens from this address: try again in %v", e.Wait.Round(time.Second))
}

// Allow returns an *ErrLater for an address that may not guess now.
func (f *Failures) Allow(a netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.of[network(a)].now(time.Now()); n > freeGuesses-1 {
		return &ErrLater{max(time.Second, time.Duration((n-freeGuesses+1)*float64(oneForgiven)))}
	}
	return nil
}

// Failed counts a wrong guess.
func (f *Failures) Failed(a netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total++
	now := time.Now()
	if f.of == nil {
		f.of = make(map[netip.Addr]guesses)
	}
	a = network(a)
	if _, known := f.of[a]; !known && len(f.of) >= mostKnown {
		oldest, since := netip.Addr{}, now
		for k, g := range f.of {
			if g.now(now) == 0 {
				delete(f.of, k)
			} else if !g.at.After(since) {
				oldest, since = k, g.at
			}
		}
		if len(f.of) >= mostKnown {
			delete(f.of, oldest)
		}
	}
	f.of[a] = guesses{f.of[a].now(now) + 1, now}
}

// Total is how many wrong guesses there were.
func (f *Failures) Total() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total
}

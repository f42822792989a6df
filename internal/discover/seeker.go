package discover

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// A search that found nothing is made again after seekFirst, and each time after
// twice as long, as RFC 6762 (5.2) has it, at most seekMost: that is how late a
// receiver may be found that says nothing when it comes.
const (
	seekFirst = 3 * time.Second
	seekMost  = 30 * time.Second
)

type dial = func(ctx context.Context, network, address string) (net.Conn, error)

// Seeker connects a sender that found no receiver when it started: to the one that a
// later search finds, and then to that one only (see Dialer). Who was told no name
// tries an address meanwhile, and is connected to whom it reaches first.
type Seeker struct {
	// Choose picks of what a search found; nil = none of them will do. It is called
	// by one goroutine at a time.
	Choose func([]Receiver) *Receiver

	// What tests put something else in for.
	find    func(ctx context.Context) []Receiver
	address dial // nil = none is tried
	to      func(Receiver) dial

	name string // of the receiver that is wanted; "" = any

	mu     sync.Mutex
	found  dial          // guarded by mu; nil = nothing yet
	search chan struct{} // guarded by mu; closed when the search that runs ends; nil = none runs
	next   time.Time     // guarded by mu; of the next search
	wait   time.Duration // guarded by mu; after that one
}

// NewSeeker returns one whose first search is due in a while, since one was just
// made. With a name it is for that receiver and no other. The timeout is that of
// dialling an address.
func NewSeeker(timeout time.Duration, name string, choose func([]Receiver) *Receiver) *Seeker {
	s := &Seeker{
		Choose: choose,
		find:   func(ctx context.Context) []Receiver { found, _ := Find(ctx, name); return found }, // without a network: none
		to:     func(r Receiver) dial { return NewDialer(r, timeout).DialContext },
		name:   name,
		next:   time.Now().Add(seekFirst),
		wait:   2 * seekFirst,
	}
	if name == "" {
		s.address = (&net.Dialer{Timeout: timeout}).DialContext
	}
	return s
}

// DialContext has the signature of net.Dialer's; with a name, the address is not
// read. It waits for a search that runs, also if another call of it began that.
func (s *Seeker) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	found, search, mine := s.begin()
	if found != nil {
		return found(ctx, network, address)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if mine {
		wg.Go(func() { s.look(ctx, search) })
	}
	if s.address == nil {
		if search != nil {
			select {
			case <-search:
			case <-ctx.Done():
			}
		}
		if found := s.known(); found != nil {
			return found(ctx, network, address)
		}
		return nil, fmt.Errorf("no receiver %q answers on the local network", s.name)
	}
	type result struct {
		c   net.Conn
		err error
	}
	dialling, stop := context.WithCancel(ctx)
	defer stop()
	results := make(chan result, 1)
	go func() { // awaited below in any case
		c, err := s.address(dialling, network, address)
		results <- result{c, err}
	}()
	if search != nil {
		select {
		case <-search:
			if found := s.known(); found != nil {
				stop()
				if r := <-results; r.err == nil {
					r.c.Close()
				}
				return found(ctx, network, address)
			}
		case r := <-results:
			if r.err == nil {
				return r.c, nil
			}
			results <- r
			select {
			case <-search:
			case <-ctx.Done():
			}
			if found := s.known(); found != nil {
				return found(ctx, network, address)
			}
		}
	}
	r := <-results
	if r.err != nil {
		return nil, fmt.Errorf("%w; no receiver answers on the local network either", r.err)
	}
	return r.c, nil
}

func (s *Seeker) known() dial {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// begin returns what was found; else the search that runs, if any, and whether the
// caller is to make it.
func (s *Seeker) begin() (found dial, search chan struct{}, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found != nil {
		return s.found, nil, false
	}
	if now := time.Now(); s.search == nil && !now.Before(s.next) {
		s.search = make(chan struct{})
		s.next = now.Add(s.wait)
		s.wait = min(2*s.wait, seekMost)
		return nil, s.search, true
	}
	return nil, s.search, false
}

// look searches, and tells by closing done that it is over.
func (s *Seeker) look(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, Search)
	defer cancel()
	var to dial
	if all := s.find(ctx); len(all) > 0 {
		if r := s.Choose(all); r != nil {
			to = s.to(*r)
		}
	}
	s.mu.Lock()
	s.found, s.search = to, nil
	s.mu.Unlock()
	close(done)
}

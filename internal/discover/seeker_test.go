package discover

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// seeking is a network of the imagination: what answers searches and dials.
type seeking struct {
	*Seeker
	start time.Time

	mu       sync.Mutex
	there    []Receiver      // guarded by mu
	answers  bool            // guarded by mu; somebody is at the address
	silent   bool            // guarded by mu; nobody is there, and dialling hangs
	searches []time.Duration // guarded by mu; when
	running  int             // guarded by mu
}

func newSeeking(t *testing.T) *seeking {
	s := &seeking{start: time.Now()}
	s.Seeker = NewSeeker(3*time.Second, "", func(all []Receiver) *Receiver {
		if len(all) == 1 {
			return &all[0]
		}
		return nil
	})
	s.find = func(ctx context.Context) []Receiver {
		s.mu.Lock()
		s.searches = append(s.searches, time.Since(s.start).Truncate(time.Second))
		if s.running++; s.running > 1 {
			t.Error("two searches at once")
		}
		there := s.there
		s.mu.Unlock()
		if len(there) == 0 {
			<-ctx.Done()
		}
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
		return there
	}
	s.address = func(ctx context.Context, _, _ string) (net.Conn, error) {
		s.mu.Lock()
		answers, silent := s.answers, s.silent
		s.mu.Unlock()
		if answers {
			return called("the address"), nil
		}
		if silent {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, errors.New("refused")
	}
	s.to = func(r Receiver) dial {
		return func(context.Context, string, string) (net.Conn, error) { return called(r.Name), nil }
	}
	return s
}

// conn is one that knows who is there.
type conn struct {
	net.Conn
	who string
}

func called(who string) net.Conn { return &conn{who: who} }

func (c *conn) Close() error { return nil }

// dials does what a sender does: again and again, two at once while one hangs.
func (s *seeking) dials(until time.Duration) string {
	for time.Since(s.start) < until {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		got := make(chan net.Conn, 2)
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 400 * time.Millisecond)
				if c, err := s.DialContext(ctx, "tcp", "192.0.2.1:1308"); err == nil {
					got <- c
				}
			})
		}
		wg.Wait()
		cancel()
		select {
		case c := <-got:
			return c.(*conn).who
		default:
		}
		time.Sleep(time.Second)
	}
	return ""
}

func (s *seeking) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// A receiver that comes later is found, soon at first, and nobody is asked too often.
func TestSeekerFindsWhoComesLater(t *testing.T) {
	for _, silent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSeeking(t)
			s.silent = silent
			if who := s.dials(4 * time.Minute); who != "" {
				t.Fatalf("it is connected to %q", who)
			}
			if n := len(s.searches); n < 7 || n > 12 || s.searches[0] > 7*time.Second {
				t.Errorf("silent %v: it searched at %v", silent, s.searches)
			}
			for i := 1; i < len(s.searches); i++ {
				if d := s.searches[i] - s.searches[i-1]; d < 6*time.Second || d > 36*time.Second {
					t.Errorf("silent %v: it searched at %v", silent, s.searches)
				}
			}
			s.set(func() { s.there = []Receiver{{Name: "a"}, {Name: "b"}} })
			if who := s.dials(6 * time.Minute); who != "" {
				t.Fatalf("of two it took %q", who)
			}
			s.set(func() { s.there = s.there[:1] })
			if who := s.dials(8 * time.Minute); who != "a" {
				t.Fatalf("it is connected to %q", who)
			}
			n := len(s.searches)
			if who := s.dials(9 * time.Minute); who != "a" || len(s.searches) != n {
				t.Errorf("then it goes to %q, with %d searches more", who, len(s.searches)-n)
			}
		})
	}
}

// Whoever is at the address is taken at once, also in the middle of a search, which ends.
func TestSeekerTakesTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeeking(t)
		time.Sleep(10 * time.Second) // a search is due
		s.set(func() { s.answers = true })
		before := time.Now()
		if who := s.dials(time.Minute); who != "the address" || time.Since(before) > 500*time.Millisecond {
			t.Errorf("it is connected to %q after %v", who, time.Since(before))
		}
		synctest.Wait()
		if s.running != 0 || len(s.searches) != 1 {
			t.Errorf("%d searches run, of %v", s.running, s.searches)
		}
	})
}

// One that was told a name goes nowhere else, and searches on until that one comes.
func TestSeekerOfAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSeeking(t)
		s.address, s.name, s.answers = nil, "b", true
		s.Choose = func(all []Receiver) *Receiver {
			for i := range all {
				if all[i].Name == "b" {
					return &all[i]
				}
			}
			return nil
		}
		s.there = []Receiver{{Name: "a"}}
		if who := s.dials(2 * time.Minute); who != "" {
			t.Fatalf("it is connected to %q", who)
		}
		if _, err := s.DialContext(t.Context(), "tcp", ""); err == nil || err.Error() != `no receiver "b" answers on the local network` {
			t.Errorf("it says %v", err)
		}
		if n := len(s.searches); n < 4 || n > 8 {
			t.Errorf("it searched at %v", s.searches)
		}
		s.set(func() { s.there = []Receiver{{Name: "a"}, {Name: "b"}} })
		if who := s.dials(3 * time.Minute); who != "b" {
			t.Fatalf("it is connected to %q", who)
		}
	})
}

package discover

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/mdns/v2"
)

// Search is how long a search lasts when nobody answers.
const Search = 2 * time.Second

// After the first answer, others may take so long, and other addresses of one
// that was named so long.
const (
	settle      = 500 * time.Millisecond
	settleNamed = 100 * time.Millisecond
)

// mostFound bounds what a hostile network can make a search remember.
const mostFound = 256

// Find looks for receivers until ctx ends, or until those that are there have had
// time to answer: with a name, until that one did. It returns what it found by
// then, ordered by name.
func Find(ctx context.Context, name string) ([]Receiver, error) {
	wait := settle
	if name != "" {
		wait = settleNamed
	}
	return find(ctx, wait, func(found []Receiver) bool {
		return name == "" && len(found) > 0 || name != "" && slices.ContainsFunc(found, func(r Receiver) bool { return r.Name == name })
	})
}

// FindAll looks for receivers until ctx ends.
func FindAll(ctx context.Context) ([]Receiver, error) {
	return find(ctx, 0, func([]Receiver) bool { return false })
}

func find(ctx context.Context, wait time.Duration, enough func([]Receiver) bool) ([]Receiver, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := open(nil, mdns.WithQueryInterval(Search/4))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var f finder
	f.news = make(chan struct{}, 1)
	c.OnServiceDiscovered(f.found)
	if err := c.Browse(ctx, ServiceType); err != nil {
		return nil, err
	}
	var settled <-chan time.Time
	for {
		select {
		case <-f.news:
			if settled == nil && enough(f.list()) {
				settled = time.After(wait)
			}
		case <-settled:
			return f.list(), nil
		case <-ctx.Done():
			return f.list(), nil
		}
	}
}

// finder collects what the library tells, one address at a time.
type finder struct {
	mu   sync.Mutex
	all  map[string]Receiver // guarded by mu
	news chan struct{}
}

func (f *finder) found(e mdns.ServiceEvent) {
	if e.Instance.Service != ServiceType || !e.Addr.IsValid() || e.Addr.IsLoopback() || e.Instance.Port == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := e.Instance.Instance
	r, known := f.all[key]
	if !known && len(f.all) >= mostFound {
		return
	}
	if f.all == nil {
		f.all = make(map[string]Receiver)
	}
	addrs := r.Addrs
	if r.Port != int(e.Instance.Port) { // another one of the same name, or a new life of it
		addrs = nil
	}
	if !slices.Contains(addrs, e.Addr) && len(addrs) < 8 {
		addrs = append(slices.Clone(addrs), e.Addr)
		slices.SortFunc(addrs, order)
	}
	f.all[key] = receiver(&e.Instance, addrs)
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *finder) list() []Receiver {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.all), func(a, b Receiver) int { return strings.Compare(a.Name, b.Name) })
}

func receiver(s *mdns.ServiceInstance, addrs []netip.Addr) Receiver {
	r := Receiver{Name: clean(s.Instance), Host: clean(strings.TrimSuffix(s.Host, ".")), Addrs: addrs, Port: int(s.Port)}
	for _, t := range s.Text {
		v := clean(string(t.Value))
		switch strings.ToLower(t.Key) {
		case "version":
			r.Version = v
		case "token":
			r.Token = v == "true"
		case "page":
			scheme, port, _ := strings.Cut(v, ":")
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && (scheme == "http" || scheme == "https") && addrs[0].Zone() == "" { // browsers know no zones
				r.Page = (&Receiver{Addrs: addrs, Port: int(n)}).page(scheme)
			}
		case "cameras":
			r.Cameras = strings.Split(v, ",")
		}
	}
	return r
}

func (r *Receiver) page(scheme string) string { return scheme + "://" + r.address(0) + "/" }

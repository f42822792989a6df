package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// stagger is how much later the next address is tried while one does not answer.
const stagger = 250 * time.Millisecond

// lookEvery bounds how often a dialer searches anew.
const lookEvery = 5 * time.Second

// Dialer connects to a receiver by its name. It tries all addresses that the
// receiver told, the one that worked last first, and searches again when none
// does: the receiver's address may have changed.
type Dialer struct {
	Timeout time.Duration // of each address

	mu     sync.Mutex
	to     Receiver  // guarded by mu
	looked time.Time // guarded by mu
	failed bool      // guarded by mu; the last dial did
}

// NewDialer returns one that begins with what was found.
func NewDialer(r Receiver, timeout time.Duration) *Dialer {
	return &Dialer{Timeout: timeout, to: r, looked: time.Now()}
}

// DialContext has the signature of net.Dialer's; the address is not read. After a
// dial that failed, the next one searches beside dialling, as long as ctx allows,
// for those that come after it.
func (d *Dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	to, search := d.next()
	if search {
		looking, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { d.look(looking, to.Name) })
		defer wg.Wait()
		if c, i, err := race(ctx, d.Timeout, &to); err == nil {
			cancel()
			d.worked(&to, i)
			return c, nil
		}
		wg.Wait()
		cancel()
		to, _ = d.next()
	}
	c, i, err := race(ctx, d.Timeout, &to)
	if err == nil {
		d.worked(&to, i)
		return c, nil
	}
	d.mu.Lock()
	d.failed = true
	d.mu.Unlock()
	return nil, fmt.Errorf("receiver %s: %w", to.Name, err)
}

// next is where to dial, and whether it is time to search.
func (d *Dialer) next() (to Receiver, search bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if search = d.failed && time.Since(d.looked) >= lookEvery; search {
		d.looked = time.Now()
	}
	return d.to, search
}

// worked puts the i-th address in front.
func (d *Dialer) worked(to *Receiver, i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed = false
	if i > 0 && i < len(d.to.Addrs) && d.to.Addrs[i] == to.Addrs[i] {
		addrs := append(d.to.Addrs[i:i+1:i+1], d.to.Addrs[:i]...)
		d.to.Addrs = append(addrs, d.to.Addrs[i+1:]...)
	}
}

// look searches for the receiver.
func (d *Dialer) look(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, Search)
	defer cancel()
	found, _ := Find(ctx, name)
	for _, r := range found {
		if r.Name == name {
			d.mu.Lock()
			d.to = r
			d.mu.Unlock()
		}
	}
}

// race dials the addresses, each a little later than the one before, and returns
// the first connection and the number of its address. All other dials have ended
// or end by themselves within the timeout, their connections closed.
func race(ctx context.Context, timeout time.Duration, to *Receiver) (net.Conn, int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+time.Duration(len(to.Addrs))*stagger)
	type result struct {
		c   net.Conn
		i   int
		err error
	}
	results := make(chan result, len(to.Addrs))
	var wg sync.WaitGroup
	for i := range to.Addrs {
		wg.Go(func() {
			select {
			case <-time.After(time.Duration(i) * stagger):
			case <-ctx.Done():
				results <- result{nil, i, ctx.Err()}
				return
			}
			c, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", to.address(i))
			results <- result{c, i, err}
		})
	}
	var errs []error
	var won result
	for range to.Addrs {
		r := <-results
		switch {
		case r.err == nil && won.c == nil:
			won = r
			cancel()
		case r.err == nil:
			r.c.Close()
		case won.c == nil:
			errs = append(errs, r.err)
		}
	}
	cancel()
	wg.Wait()
	if won.c != nil {
		return won.c, won.i, nil
	}
	return nil, 0, errors.Join(errs...)
}

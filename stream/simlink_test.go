package stream

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"framepipe/internal/tcpq"
)

// simLink is a network in simulated time (testing/synctest): connections share
// one rate towards the receiver, each has a kernel's send buffer, and the link
// can be down. Nothing is lost; when the link is down bytes wait.
type simLink struct {
	rate    float64       // bytes/s towards the receiver
	delay   time.Duration // one way
	sndbuf  int           // bytes that a connection takes beyond what was delivered
	conns   chan net.Conn // to the listener
	closing chan struct{}
	once    sync.Once

	mu   sync.Mutex
	free time.Time // guarded by mu; when the link has carried all that was given to it
	down time.Time // guarded by mu; nothing moves until then
}

func newSimLink(rate float64, delay time.Duration, sndbuf int) *simLink {
	return &simLink{rate: rate, delay: delay, sndbuf: sndbuf, conns: make(chan net.Conn), closing: make(chan struct{})}
}

// outage stops everything for d.
func (l *simLink) outage(d time.Duration) {
	l.mu.Lock()
	l.down = time.Now().Add(d)
	l.mu.Unlock()
}

// carry returns when n bytes have left the link's bottleneck.
func (l *simLink) carry(n int) {
	l.mu.Lock()
	now := time.Now()
	for _, t := range []time.Time{now, l.down} {
		if t.After(l.free) {
			l.free = t
		}
	}
	l.free = l.free.Add(time.Duration(float64(n) / l.rate * 1e9))
	wait := l.free.Sub(now)
	l.mu.Unlock()
	time.Sleep(wait)
}

func (l *simLink) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	l.mu.Lock()
	trip := 2*l.delay + max(0, time.Until(l.down))
	l.mu.Unlock()
	select {
	case <-time.After(trip):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	up, down := newSimPipe(l.sndbuf), newSimPipe(64<<10)
	near := &simConn{link: l, out: up, in: down}
	far := &simConn{link: l, out: down, in: up}
	go up.run(func(n int) { l.carry(n) }, l.delay)
	go down.run(func(int) {}, l.delay)
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closing:
		return nil, net.ErrClosed
	case <-ctx.Done():
		near.Close()
		far.Close()
		return nil, ctx.Err()
	}
}

// simLink as a net.Listener.
func (l *simLink) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closing:
		return nil, net.ErrClosed
	}
}
func (l *simLink) Close() error   { l.once.Do(func() { close(l.closing) }); return nil }
func (l *simLink) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// simPipe is one direction: a ring of bytes written, of which some have arrived.
type simPipe struct {
	mu      sync.Mutex
	cond    sync.Cond
	ring    []byte // guarded by mu, as all below
	head    int    // where the reader is in the ring
	held    int    // bytes from there on
	arrived int    // of them, how many the reader may have
	sent    int    // of them, how many have left: arrived, or on the way
	acked   uint64 // bytes that have arrived, in all
	ackedAt time.Time
	ended   bool // no more will be written
	broken  bool // nobody will read
	rtime   time.Time
	wtime   time.Time
}

func newSimPipe(size int) *simPipe {
	p := &simPipe{ring: make([]byte, size)}
	p.cond.L = &p.mu
	return p
}

// run moves bytes from the writer to the reader until there will be no more.
func (p *simPipe) run(carry func(int), delay time.Duration) {
	const segment = 10 * 1448
	for {
		p.mu.Lock()
		for p.held == p.sent && !p.ended && !p.broken {
			p.cond.Wait()
		}
		n := min(p.held-p.sent, segment)
		over := p.broken || n == 0
		p.sent += n
		p.mu.Unlock()
		if over {
			return
		}
		carry(n)
		time.AfterFunc(delay, func() {
			p.mu.Lock()
			p.arrived += n
			p.acked += uint64(n)
			p.ackedAt = time.Now()
			p.cond.Broadcast()
			p.mu.Unlock()
		})
	}
}

// wait waits for a change, and fails when the deadline has passed.
func (p *simPipe) wait(deadline time.Time) error {
	if deadline.IsZero() {
		p.cond.Wait()
		return nil
	}
	d := time.Until(deadline)
	if d <= 0 {
		return os.ErrDeadlineExceeded
	}
	t := time.AfterFunc(d, func() {
		p.mu.Lock() // so that nobody is between looking and waiting
		p.cond.Broadcast()
		p.mu.Unlock()
	})
	p.cond.Wait()
	t.Stop()
	return nil
}

func (p *simPipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.arrived == 0 {
		if p.broken {
			return 0, net.ErrClosed
		}
		if p.ended && p.held == 0 {
			return 0, io.EOF
		}
		if err := p.wait(p.rtime); err != nil {
			return 0, err
		}
	}
	n := min(len(b), p.arrived)
	k := copy(b[:n], p.ring[p.head:])
	copy(b[k:n], p.ring)
	p.head = (p.head + n) % len(p.ring)
	p.held, p.arrived, p.sent = p.held-n, p.arrived-n, p.sent-n
	p.cond.Broadcast()
	return n, nil
}

func (p *simPipe) write(b []byte) (done int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for done < len(b) {
		if p.ended || p.broken {
			return done, net.ErrClosed
		}
		room := len(p.ring) - p.held
		if room == 0 {
			if err := p.wait(p.wtime); err != nil {
				return done, err
			}
			continue
		}
		at := (p.head + p.held) % len(p.ring)
		n := min(room, len(b)-done, len(p.ring)-at)
		copy(p.ring[at:], b[done:done+n])
		p.held += n
		done += n
		p.cond.Broadcast()
	}
	return done, nil
}

func (p *simPipe) set(f func()) {
	p.mu.Lock()
	f()
	p.cond.Broadcast()
	p.mu.Unlock()
}

// simConn is one end of a connection over a simLink. It tells its own queue, as
// the kernel tells a socket's.
type simConn struct {
	link    *simLink
	out, in *simPipe
}

var _ tcpq.Probe = (*simConn)(nil)

func (c *simConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *simConn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *simConn) Close() error {
	c.out.set(func() { c.out.ended = true })
	c.in.set(func() { c.in.broken = true })
	return nil
}
func (c *simConn) LocalAddr() net.Addr               { return c.link.Addr() }
func (c *simConn) RemoteAddr() net.Addr              { return c.link.Addr() }
func (c *simConn) SetReadDeadline(t time.Time) error { c.in.set(func() { c.in.rtime = t }); return nil }
func (c *simConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func() { c.out.wtime = t })
	return nil
}
func (c *simConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// Queued is what was written and has not arrived.
func (c *simConn) Queued() (int, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.held - c.out.arrived, nil
}

func (c *simConn) Info() (tcpq.Info, error) {
	queued, _ := c.Queued()
	least := 2 * c.link.delay
	wait := time.Duration(float64(queued) / c.link.rate * 1e9)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return tcpq.Info{
		RTT: uint32((least + wait).Microseconds()), MinRTT: uint32(least.Microseconds()),
		Rate: uint64(c.link.rate), Acked: c.out.acked, LastAck: uint32(time.Since(c.out.ackedAt).Milliseconds()),
	}, nil
}

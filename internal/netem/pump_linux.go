package netem

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pump carries one direction's packets from a TUN device to the other. It is
// owned by the goroutine of run, which keeps a thread of its own.
type pump struct {
	link     *Link
	from     Side
	src, dst int
	wake     int
	server   *server

	pending []packet // on their way, in order of due
	bytes   int      // in pending
	free    [][]byte
}

type packet struct {
	due  time.Duration
	data []byte
}

const (
	// tick is how long to sleep while packets are on their way. Waking for each
	// packet would cost a processor; a radio bundles packets for longer.
	tick = 500 * time.Microsecond
	// maxPending bounds the packets on their way on a path without a rate.
	maxPending = 64 << 20
	// dataSize is what tells data from a handshake: see Config's schedules.
	dataSize = 1000
)

// run pumps until ctx ends. It never gives its thread back: the scheduling
// class set here ends with the thread.
func (p *pump) run(ctx context.Context) error {
	runtime.LockOSThread()
	raisePriority()
	p.link.threads[p.from].Store(int64(unix.Gettid()))
	defer p.link.threads[p.from].Store(0)
	for ctx.Err() == nil {
		now := p.now()
		if err := p.read(now); err != nil {
			return err
		}
		if err := p.deliver(p.now()); err != nil {
			return err
		}
		if len(p.pending) == 0 {
			p.waitForPacket()
			continue
		}
		wait := min(max(p.pending[0].due-p.now(), 0), tick)
		p.sleep(max(wait, 50*time.Microsecond))
	}
	return nil
}

func (p *pump) now() time.Duration { return time.Since(p.link.began) }

// raisePriority asks for what makes waking up punctual, and goes on without
// where it is refused: lateness is measured anyhow.
func raisePriority() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   unix.SCHED_FIFO,
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Priority: 1,
	}, 0)
}

// read takes all packets that wait in the device.
func (p *pump) read(now time.Duration) error {
	if at := p.link.epoch.Load(); at != 0 {
		p.server.begin(time.Duration(at))
	}
	for {
		buf := p.buffer()
		n, err := unix.Read(p.src, buf)
		if err != nil || n <= 0 {
			p.free = append(p.free, buf)
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || err == nil {
				return nil
			}
			return fmt.Errorf("netem: read %s: %w", p.link.end(p.from).Device, err)
		}
		if n > dataSize && p.link.epoch.Load() == 0 {
			p.link.epoch.CompareAndSwap(0, int64(now))
			p.server.begin(time.Duration(p.link.epoch.Load()))
		}
		p.take(now, buf[:n])
	}
}

// take decides a packet's fate.
func (p *pump) take(now time.Duration, data []byte) {
	stats := &p.link.stats[p.from]
	if data[0]>>4 != 4 {
		p.link.mu.Lock()
		stats.Other++
		p.link.mu.Unlock()
		p.free = append(p.free, data[:cap(data)])
		return
	}
	if next := p.link.next[p.from].Swap(nil); next != nil {
		p.server.change(*next)
	}
	f, due := droppedQueue, time.Duration(0)
	if p.bytes+len(data) <= maxPending {
		f, due = p.server.arrive(now, len(data))
	}
	p.link.mu.Lock()
	stats.count(f, len(data))
	stats.MaxQueue = p.server.maxQueued
	p.link.mu.Unlock()
	if f != delivered {
		p.free = append(p.free, data[:cap(data)])
		return
	}
	p.pending = append(p.pending, packet{due, data})
	p.bytes += len(data)
}

// deliver hands over what is due.
func (p *pump) deliver(now time.Duration) error {
	n, lost := 0, 0
	var failed error
	for n < len(p.pending) && p.pending[n].due <= now && failed == nil {
		pkt := p.pending[n]
		n++
		if _, err := unix.Write(p.dst, pkt.data); errors.Is(err, unix.EIO) {
			lost++ // the device is down
		} else if err != nil {
			failed = fmt.Errorf("netem: write %s: %w", p.link.end(p.from.other()).Device, err)
		}
		p.lateness(now - pkt.due)
		p.bytes -= len(pkt.data)
		p.free = append(p.free, pkt.data[:cap(pkt.data)])
	}
	if n > 0 {
		rest := copy(p.pending, p.pending[n:])
		clear(p.pending[rest:])
		p.pending = p.pending[:rest]
		p.link.mu.Lock()
		p.link.stats[p.from].Delivered += uint64(n - lost)
		p.link.stats[p.from].LostAway += uint64(lost)
		p.link.mu.Unlock()
	}
	return failed
}

func (p *pump) buffer() []byte {
	if n := len(p.free); n > 0 {
		buf := p.free[n-1]
		p.free = p.free[:n-1]
		return buf
	}
	return make([]byte, mtu)
}

func (p *pump) lateness(d time.Duration) {
	for {
		old := p.link.late.Load()
		if int64(d) <= old || p.link.late.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// sleep also measures how much longer it took than asked: packets that waited
// in the device meanwhile have been stamped too late.
func (p *pump) sleep(d time.Duration) {
	before := p.now()
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // a signal only makes it shorter
	p.lateness(p.now() - before - d)
}

// waitForPacket sleeps until a packet comes or Run ends.
func (p *pump) waitForPacket() {
	fds := []unix.PollFd{{Fd: int32(p.src), Events: unix.POLLIN}, {Fd: int32(p.wake), Events: unix.POLLIN}}
	_, _ = unix.Ppoll(fds, nil, nil) // after a signal the loop looks again
}

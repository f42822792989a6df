package frame

import (
	"sync"
	"sync/atomic"
)

// maxIdle bounds how many frames a Pool keeps for later. A path needs one frame
// being filled, one in each slot and one with each slow viewer; more than this
// many idle ones are memory without use.
const maxIdle = 8

// Pool hands out frames with payload buffers and takes them back on their last
// Release. Unlike sync.Pool it keeps its buffers across garbage collections, so
// that a steady stream allocates nothing, and it lets go of buffers that are
// much larger than what is being asked for, so that one huge frame does not stay
// in memory. The zero value is ready; it is safe for concurrent use.
type Pool struct {
	mu   sync.Mutex
	idle []*Frame // guarded by mu
	high int      // guarded by mu; slowly falling maximum of the sizes asked for
	out  int      // guarded by mu; frames handed out and not yet back
}

// outAll is the number of frames that all pools have handed out.
var outAll atomic.Int64

// OutAll is the number of frames that all pools of this process have handed out
// and not got back. A stream holds a handful; a number that grows is a leak.
func OutAll() int { return int(outAll.Load()) }

// Get returns a frame with len(Data) == n and one reference; its contents are
// undefined and its Meta empty.
func (p *Pool) Get(n int) *Frame {
	outAll.Add(1)
	p.mu.Lock()
	p.out++
	if n > p.high {
		p.high = n
	} else {
		p.high -= (p.high - n) / 64
	}
	if k := len(p.idle) - 1; k >= 0 {
		f := p.idle[k]
		p.idle[k] = nil
		p.idle = p.idle[:k]
		p.mu.Unlock()
		b := f.Data[:cap(f.Data)]
		if cap(b) < n {
			b = make([]byte, roundUp(n))
		}
		f.Reset(b[:n])
		return f
	}
	p.mu.Unlock()
	return New(make([]byte, roundUp(n))[:n], p)
}

// Recycle implements Owner; frames call it.
func (p *Pool) Recycle(f *Frame) {
	outAll.Add(-1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	if len(p.idle) >= maxIdle || cap(f.Data) > 4*roundUp(p.high) {
		return
	}
	p.idle = append(p.idle, f)
}

// Out is the number of frames handed out and not yet released.
func (p *Pool) Out() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

// roundUp leaves room for the next frame to be somewhat larger: JPEG sizes
// vary by some percent from frame to frame, and each growth is an allocation.
func roundUp(n int) int {
	n += n / 4
	return (n + 4095) &^ 4095
}

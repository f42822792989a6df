// Package borrow wraps memory that outlives its frames, such as a loaded file, in
// frames without copying it or allocating for each.
package borrow

import (
	"sync"

	"framepipe/frame"
)

// maxIdle bounds how many frame headers are kept; one costs some 200 bytes.
const maxIdle = 64

// Frames hands out frames over memory that it does not own, and takes them back on
// their last Release. Nobody may write to them. The zero value is ready, and it is
// safe for concurrent use.
type Frames struct {
	mu   sync.Mutex
	idle []*frame.Frame // guarded by mu
}

// Get returns a frame over data, whose capacity beyond its length is hidden.
func (p *Frames) Get(data []byte) *frame.Frame {
	data = data[:len(data):len(data)]
	p.mu.Lock()
	if k := len(p.idle) - 1; k >= 0 {
		f := p.idle[k]
		p.idle = p.idle[:k]
		p.mu.Unlock()
		f.Reset(data)
		return f
	}
	p.mu.Unlock()
	return frame.New(data, p)
}

// Recycle implements frame.Owner.
func (p *Frames) Recycle(f *frame.Frame) {
	f.Data = nil
	p.mu.Lock()
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, f)
	}
	p.mu.Unlock()
}

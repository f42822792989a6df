package pattern

import (
	"sync"

	"framepipe/frame"
)

// easel keeps canvases between frames, with the frame each belongs to.
type easel struct {
	mu   sync.Mutex
	idle []*frame.Frame           // guarded by mu
	of   map[*frame.Frame]*canvas // guarded by mu
}

const maxIdle = 8

func (e *easel) get(a *artist) (*frame.Frame, *canvas) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := len(e.idle) - 1; k >= 0 {
		f := e.idle[k]
		e.idle = e.idle[:k]
		cv := e.of[f]
		f.Reset(cv.data)
		return f, cv
	}
	cv := newCanvas(a.format, a.w, a.h)
	f := frame.New(cv.data, e)
	if e.of == nil {
		e.of = make(map[*frame.Frame]*canvas)
	}
	e.of[f] = cv
	return f, cv
}

// spoil makes every canvas be redrawn completely.
func (e *easel) spoil() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, cv := range e.of {
		cv.blank = true // read by whoever gets it next, never by a viewer
	}
}

// Recycle implements frame.Owner.
func (e *easel) Recycle(f *frame.Frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.idle) >= maxIdle {
		delete(e.of, f)
		return
	}
	e.idle = append(e.idle, f)
}

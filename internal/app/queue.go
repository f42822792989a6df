package app

import "sync"

// queue hands values from where waiting is forbidden to where it is not. It has
// no bound, so it is only for what is rare: records, of which a camera closes one
// in ten seconds.
type queue[T any] struct {
	mu    sync.Mutex
	cond  sync.Cond
	items []T  // guarded by mu
	ended bool // guarded by mu
}

func newQueue[T any]() *queue[T] {
	q := new(queue[T])
	q.cond.L = &q.mu
	return q
}

func (q *queue[T]) put(v T) {
	q.mu.Lock()
	q.items = append(q.items, v)
	q.mu.Unlock()
	q.cond.Signal()
}

// end says that nothing will be put any more.
func (q *queue[T]) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.cond.Signal()
}

// each calls f with every value in order, and returns after end and the last one.
func (q *queue[T]) each(f func(T)) {
	for {
		q.mu.Lock()
		for len(q.items) == 0 && !q.ended {
			q.cond.Wait()
		}
		items := q.items
		q.items = nil
		q.mu.Unlock()
		if len(items) == 0 {
			return
		}
		for _, v := range items {
			f(v)
		}
	}
}

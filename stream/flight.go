package stream

import (
	"sync"
	"time"

	"framepipe/wire"
)

// maxFlight is how many frames are remembered that the receiver has not
// acknowledged. More can be on the way, of tiny frames on a fast link; the oldest
// are forgotten then.
const maxFlight = 64

// flight follows the frames that were given to one connection and are not
// acknowledged yet.
type flight struct {
	mu    sync.Mutex
	ring  [maxFlight]sentFrame // guarded by mu
	first int                  // guarded by mu
	n     int                  // guarded by mu
	acked time.Time            // guarded by mu; when the last acknowledgement came

	room chan struct{} // one token: something was acknowledged
}

type sentFrame struct {
	seq   uint64
	bytes int
	at    time.Time // when sending it began
}

func newFlight() *flight { return &flight{room: make(chan struct{}, 1)} }

// sent adds a frame whose sending begins.
func (f *flight) sent(seq uint64, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == maxFlight {
		f.first = (f.first + 1) % maxFlight
		f.n--
	}
	f.ring[(f.first+f.n)%maxFlight] = sentFrame{seq, bytes, time.Now()}
	f.n++
}

// ack takes out what a receiver has, and returns the size of the frame that it
// acknowledges, 0 if that is not known.
func (f *flight) ack(a wire.Ack) (size int) {
	f.mu.Lock()
	f.acked = time.Now()
	for f.n > 0 && f.ring[f.first].seq <= a.Seq {
		if f.ring[f.first].seq == a.Seq {
			size = f.ring[f.first].bytes
		}
		f.first = (f.first + 1) % maxFlight
		f.n--
	}
	f.mu.Unlock()
	signal(f.room)
	return size
}

// oldest is the frame that has been on the way longest, and when the receiver was
// last heard.
func (f *flight) oldest() (s sentFrame, acked time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 {
		return s, f.acked, false
	}
	return f.ring[f.first], f.acked, true
}

// bytes is what of the frames on the way was not acknowledged.
func (f *flight) bytes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	for i := range f.n {
		sum += f.ring[(f.first+i)%maxFlight].bytes
	}
	return sum
}

func (f *flight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

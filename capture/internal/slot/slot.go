// Package slot keeps the newest frame of a camera that pushes, for a consumer that
// pulls, and the ledger of those that it replaced.
//
// There is room for one frame; the ones that a newer frame replaced count as
// encoder_busy. One goroutine puts, another takes. While that one waits, the one that
// puts can do its work for it (Direct), so that nobody need be woken.
package slot

import (
	"context"
	"sync"

	"framepipe/frame"
)

// Slot is made by New.
type Slot struct {
	wake chan struct{} // one token: something changed

	mu     sync.Mutex
	f      *frame.Frame               // guarded by mu
	err    error                      // guarded by mu; set once, after it no frame comes
	closed bool                       // guarded by mu
	seq    uint64                     // guarded by mu
	lost   [frame.SenderCauses]uint64 // guarded by mu
	width  int                        // guarded by mu; of the last frame put
	height int                        // guarded by mu
	now    func(*frame.Frame) bool    // guarded by mu
	waits  bool                       // guarded by mu; Take waits for any frame

	turn sync.Mutex // held while now runs; locked with or without mu, never the other way round
}

// New makes an empty slot.
func New() *Slot { return &Slot{wake: make(chan struct{}, 1)} }

// Lose counts n frames that the camera made before the next one that is put.
func (s *Slot) Lose(c frame.Cause, n uint64) {
	s.mu.Lock()
	s.seq += n
	s.lost[c] += n
	s.mu.Unlock()
}

// Put numbers f and makes it the one to be taken. It takes over the reference,
// and reports false (having released f) when the slot is closed.
func (s *Slot) Put(f *frame.Frame) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		f.Release()
		return false
	}
	older := s.f != nil
	s.drop()
	s.number(f)
	if now := s.now; now != nil && s.waits && !older {
		s.turn.Lock() // before Take can return
		s.mu.Unlock()
		done := now(f)
		s.turn.Unlock()
		if done {
			return true
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			f.Release()
			return false
		}
	}
	s.f = f
	s.mu.Unlock()
	s.notify()
	return true
}

// Direct has Put call now with each frame that comes while Take waits for any
// (notBefore is 0): what it reports true for is its own, and Take goes on waiting. It
// is called by Take's goroutine; nil ends it. Take does not return while now runs, so
// the two need no lock for what both use.
func (s *Slot) Direct(now func(*frame.Frame) bool) {
	s.mu.Lock()
	s.now = now
	s.mu.Unlock()
}

// Number gives f its place in the ledger without keeping it, for cameras that are
// read on demand.
func (s *Slot) Number(f *frame.Frame) {
	s.mu.Lock()
	s.number(f)
	s.mu.Unlock()
}

func (s *Slot) number(f *frame.Frame) {
	s.seq++
	f.Seq = s.seq
	f.Counts.Offered, f.Counts.Lost = s.seq, s.lost
	if f.Width > 0 {
		s.width, s.height = f.Width, f.Height
	}
}

func (s *Slot) drop() {
	if s.f != nil {
		s.f.Release()
		s.f = nil
		s.lost[frame.LostEncoderBusy]++
	}
}

func (s *Slot) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// End says that no frame comes any more, and why. The first reason stands.
func (s *Slot) End(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.notify()
}

// Take waits for a frame that was captured at notBefore or later and returns it;
// older ones are dropped. The last one before the end is returned in any case.
func (s *Slot) Take(ctx context.Context, notBefore frame.SenderTime) (*frame.Frame, error) {
	for {
		s.mu.Lock()
		if s.f != nil && s.f.Captured < notBefore && s.err == nil {
			s.drop()
		}
		f, err := s.f, s.err
		s.f = nil
		s.waits = f == nil && err == nil && notBefore == 0
		s.mu.Unlock()
		if f != nil {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
		err = s.wait(ctx)
		s.mu.Lock()
		s.waits = false
		s.mu.Unlock()
		s.settled()
		if err != nil {
			return nil, err
		}
	}
}

// settled returns when now does not run.
func (s *Slot) settled() {
	s.turn.Lock()
	defer s.turn.Unlock()
}

// Await returns when a frame is there, without taking it, or when none will come.
func (s *Slot) Await(ctx context.Context) error {
	for {
		s.mu.Lock()
		have, err := s.f != nil, s.err
		s.mu.Unlock()
		if have || err != nil {
			if have {
				err = nil
			}
			s.notify() // the token is for Take
			return err
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

func (s *Slot) wait(ctx context.Context) error {
	select {
	case <-s.wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Size is that of the last frame that had one.
func (s *Slot) Size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width, s.height
}

// Seq is the number of the last frame.
func (s *Slot) Seq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// Close releases what is in the slot and refuses what comes.
func (s *Slot) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.f != nil {
		s.f.Release()
		s.f = nil
	}
}

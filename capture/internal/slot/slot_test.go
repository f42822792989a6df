package slot

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/frame"
)

func put(s *Slot, p *frame.Pool, at frame.SenderTime) bool {
	f := p.Get(1)
	f.Captured = at
	return s.Put(f)
}

// produce puts n frames and loses two with every seventh, resting now and then so that
// the taker has to wait.
func produce(s *Slot, p *frame.Pool, n int) {
	for i := range n {
		if i%7 == 0 {
			s.Lose(frame.LostGap, 2)
		}
		put(s, p, frame.SenderTime(i+1))
		if i%50 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	s.End(io.EOF)
}

// Whatever is put, lost and taken in whatever order: what was returned before a
// frame is what its ledger leaves over.
func TestLedgerBalancesUnderConcurrency(t *testing.T) {
	s, p := New(), new(frame.Pool)
	const n = 5000
	go produce(s, p, n)
	returned, last := uint64(0), uint64(0)
	for {
		f, err := s.Take(t.Context(), 0)
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
		if f.Seq <= last || f.Counts.Offered != f.Seq || f.Seq-1-f.Counts.LostTotal() != returned {
			t.Fatalf("after %d frames: %+v", returned, f.Meta)
		}
		last = f.Seq
		returned++
		f.Release()
	}
	if want := uint64(n + (n+6)/7*2); last != want || s.Seq() != want {
		t.Errorf("last frame %d, want %d: the last one is never lost", last, want)
	}
	if p.Out() != 0 {
		t.Errorf("%d frames leaked", p.Out())
	}
}

// The same with a taker whose work is done by the one who puts, now and then, and who
// gives up waiting now and then: no frame is lost, doubled or out of order, and what
// both use needs no lock, which the race detector sees.
func TestDirect(t *testing.T) {
	s, p := New(), new(frame.Pool)
	const n = 5000
	go produce(s, p, n)
	returned, direct, last := uint64(0), 0, uint64(0)
	check := func(f *frame.Frame) {
		if f.Seq <= last || f.Counts.Offered != f.Seq || f.Seq-1-f.Counts.LostTotal() != returned {
			t.Errorf("after %d frames: %+v", returned, f.Meta)
		}
		last = f.Seq
		returned++
		f.Release()
	}
	now := func(f *frame.Frame) bool {
		if f.Seq%3 == 0 {
			return false
		}
		direct++
		check(f)
		return true
	}
	for round := 0; ; round++ {
		if round%2 == 0 {
			s.Direct(now)
		} else {
			s.Direct(nil)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Microsecond)
		f, err := s.Take(ctx, 0)
		cancel()
		if err == io.EOF {
			break
		}
		if err == nil {
			check(f)
		}
	}
	if want := uint64(n + (n+6)/7*2); last != want || direct == 0 {
		t.Errorf("last frame %d, want %d; %d were taken directly", last, want, direct)
	}
	if p.Out() != 0 {
		t.Errorf("%d frames leaked", p.Out())
	}
}

// Who waits for a fresh frame is not given one that is older.
func TestDirectIsNotForWhoWaitsForAFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := New(), new(frame.Pool)
		s.Direct(func(*frame.Frame) bool { t.Error("a frame was taken directly"); return false })
		go func() {
			time.Sleep(time.Second)
			put(s, p, 99)
			put(s, p, 100)
		}()
		f, err := s.Take(t.Context(), 100)
		if err != nil || f.Captured != 100 {
			t.Fatal(f, err)
		}
		f.Release()
	})
}

func TestTakeWaitsForAFreshOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := New(), new(frame.Pool)
		put(s, p, 100)
		if err := s.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			put(s, p, 150)
			time.Sleep(time.Second)
			put(s, p, 200)
		}()
		start := time.Now()
		f, err := s.Take(t.Context(), 200)
		if err != nil || f.Captured != 200 || f.Counts.Lost[frame.LostEncoderBusy] != 2 || time.Since(start) != 2*time.Second {
			t.Errorf("%+v, %v after %v", f, err, time.Since(start))
		}
		f.Release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Take(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestEndAndClose(t *testing.T) {
	s, p := New(), new(frame.Pool)
	put(s, p, 1)
	s.End(io.EOF)
	s.End(io.ErrUnexpectedEOF)
	f, err := s.Take(t.Context(), 1000) // the last one is returned although it is old
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	if _, err := s.Take(t.Context(), 0); err != io.EOF {
		t.Errorf("%v, want the first reason", err)
	}
	if err := s.Await(t.Context()); err != io.EOF {
		t.Error(err)
	}
	s = New()
	put(s, p, 1)
	s.Close()
	if put(s, p, 2) || p.Out() != 0 {
		t.Errorf("a closed slot keeps %d frames", p.Out())
	}
}

package alarm

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitIsNeverEarly(t *testing.T) {
	timer := New()
	defer timer.Close()
	for _, d := range []time.Duration{-1, 0, 1, 100 * time.Microsecond, 3 * time.Millisecond} {
		began := time.Now()
		if err := timer.Wait(t.Context(), d); err != nil {
			t.Fatalf("Wait(%v) = %v", d, err)
		}
		if took := time.Since(began); took < d {
			t.Errorf("Wait(%v) returned after %v", d, took)
		}
	}
}

func TestContextEndsTheWait(t *testing.T) {
	timer := New()
	defer timer.Close()
	for range 20 { // each time another context, some ended before
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		if err := timer.Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Fatalf("Wait = %v, want the context's end", err)
		}
		if err := timer.Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Fatalf("Wait with the same context = %v", err)
		}
		if err := timer.Wait(t.Context(), time.Millisecond); err != nil {
			t.Fatalf("Wait with another context = %v", err)
		}
	}
}

func TestWaitFollowsSimulatedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timer := New()
		defer timer.Close()
		began := time.Now()
		if err := timer.Wait(t.Context(), time.Hour); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v, after %v", err, time.Since(began))
		}
	})
}

func TestWaitAllocatesNothing(t *testing.T) {
	timer := New()
	defer timer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	timer.Wait(ctx, time.Microsecond)
	if n := testing.AllocsPerRun(50, func() { timer.Wait(ctx, 100*time.Microsecond) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// How late waits of 10 ms end, beside Go's own timers.
func BenchmarkLate(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(map[bool]string{true: "timer=go", false: "timer=exact"}[plain], func(b *testing.B) {
			timer := New()
			defer timer.Close()
			if plain {
				timer.exact.close()
			}
			var late []time.Duration
			for b.Loop() {
				began := time.Now()
				timer.Wait(b.Context(), 10*time.Millisecond)
				late = append(late, time.Since(began)-10*time.Millisecond)
			}
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-us")
			b.ReportMetric(0, "ns/op")
		})
	}
}

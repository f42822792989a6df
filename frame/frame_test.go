package frame

import (
	"testing"
	"time"
)

type recycled struct{ n int }

func (r *recycled) Recycle(*Frame) { r.n++ }

func TestFrameLife(t *testing.T) {
	var r recycled
	f := New([]byte{1}, &r)
	f.Retain()
	f.Release()
	if r.n != 0 {
		t.Fatalf("recycled while a reference was left")
	}
	f.Release()
	if r.n != 1 {
		t.Fatalf("recycled %d times, want 1", r.n)
	}
	mustPanic(t, "Release", f.Release)
}

func TestRetainAfterRelease(t *testing.T) {
	f := New(nil, nil)
	f.Release()
	mustPanic(t, "Retain", func() { f.Retain() })
}

func TestResetInUse(t *testing.T) {
	f := New(nil, nil)
	mustPanic(t, "Reset", func() { f.Reset(nil) })
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}

func TestPoolSteadyStateAllocatesNothing(t *testing.T) {
	var p Pool
	for range 3 {
		p.Get(70_000).Release()
	}
	if n := testing.AllocsPerRun(1000, func() {
		f := p.Get(68_000)
		f.Retain()
		f.Release()
		f.Release()
	}); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
	if p.Out() != 0 {
		t.Errorf("%d frames out, want 0", p.Out())
	}
}

func TestPoolLetsGoOfHugeBuffers(t *testing.T) {
	var p Pool
	p.Get(32 << 20).Release()
	for range 2000 {
		p.Get(50_000).Release()
	}
	if c := cap(p.Get(50_000).Data); c > 1<<20 {
		t.Errorf("buffer of %d bytes kept for 50,000-byte frames", c)
	}
}

func TestMonotonicNowAgreesWithItself(t *testing.T) {
	a := MonotonicNow()
	time.Sleep(2 * time.Millisecond)
	b := MonotonicNow()
	if d := time.Duration(b - a); d < 2*time.Millisecond || d > 10*time.Second {
		t.Errorf("2 ms of sleep measured as %v", d)
	}
}

func TestFormatWords(t *testing.T) {
	for _, f := range []FourCC{JPEG, I420, NV12, YUYV, UYVY, RGB24, BGR24, GREY} {
		for _, s := range []string{f.Word()} {
			got, err := ParseFormat(s)
			if err != nil || got != f {
				t.Errorf("ParseFormat(%q) = %v, %v; want %v", s, got, err, f)
			}
		}
	}
	if _, err := ParseFormat("h264"); err == nil {
		t.Error("ParseFormat(h264) succeeded")
	}
	if s := FourCC(0x00ff00ff).String(); s != "0x00ff00ff" {
		t.Errorf("unprintable code shown as %q", s)
	}
}

func TestCountsBalance(t *testing.T) {
	c := Counts{Offered: 10, Sent: 7}
	c.Lost[LostGap], c.Lost[LostStale] = 2, 1
	if c.Imbalance() != 0 || c.LostTotal() != 3 {
		t.Errorf("imbalance %d, lost %d; want 0, 3", c.Imbalance(), c.LostTotal())
	}
	d := c
	d.Add(c)
	if d.Minus(c) != c {
		t.Errorf("Add and Minus do not undo each other: %+v", d)
	}
}

func TestCausesHaveNames(t *testing.T) {
	for c := range NumCauses {
		if c.String() == "" || c.String() == "unknown" {
			t.Errorf("cause %d has no name", c)
		}
	}
	if LostConnection != 7 || NumCauses != 10 {
		t.Errorf("causes moved: connection %d of %d; PROTOCOL.md fixes the first %d", LostConnection, NumCauses, SenderCauses)
	}
}

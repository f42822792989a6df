package v4l2src

import (
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/v4l2"
)

func TestLedger(t *testing.T) {
	type step struct {
		seq uint32
		ms  int64
	}
	for _, tc := range []struct {
		name    string
		steps   []step
		offered uint64
		gaps    uint64
	}{
		{"in order", []step{{7, 0}, {8, 10}, {9, 20}}, 3, 0},
		{"gap", []step{{7, 0}, {10, 30}}, 4, 2},
		{"repeated", []step{{7, 0}, {7, 10}, {8, 20}}, 3, 0},
		{"stepping back", []step{{7, 0}, {6, 10}, {7, 20}, {9, 40}}, 5, 1},
		{"wrapping", []step{{0xfffffffe, 0}, {1, 30}}, 4, 2},
		{"reset", []step{{5000, 0}, {0, 10}, {1, 20}}, 3, 0},
		{"a jump there was no time for", []step{{0, 0}, {100000, 10}, {100001, 20}}, 3, 0},
		{"a long pause", []step{{0, 0}, {1000, 10000}}, 1001, 999},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := ledger{interval: int64(10 * time.Millisecond)}
			for _, s := range tc.steps {
				l.arrive(s.seq, s.ms*1e6)
			}
			if l.Offered != tc.offered || l.Lost[frame.LostGap] != tc.gaps {
				t.Errorf("%+v", l.Counts)
			}
		})
	}
}

func TestStamps(t *testing.T) {
	const now, real = int64(1e12), int64(1.7e18)
	ms := func(n int64) int64 { return n * 1e6 }
	soe := uint32(0x10000)
	for _, tc := range []struct {
		name  string
		ts    int64
		flags uint32
		want  int64
		kind  frame.StampKind
	}{
		{"monotonic", now - ms(20), 0, now - ms(20), frame.StampEnd},
		{"monotonic, start", now - ms(20), soe, now - ms(20), frame.StampStart},
		{"realtime", real - ms(20), soe, now - ms(20), frame.StampStart},
		{"none", 0, 0, now, frame.StampArrival},
		{"another clock", 12345678, 0, now, frame.StampArrival},
		{"rounded up", now + ms(1), 0, now, frame.StampEnd},
		{"future", now + ms(90), 0, now, frame.StampArrival},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := stamper{realtime: func() int64 { return real }}
			got, kind := s.stamp(&v4l2.Buffer{Timestamp: tc.ts, Flags: tc.flags}, now)
			if int64(got) != tc.want || kind != tc.kind {
				t.Errorf("%v from now, %v", time.Duration(int64(got)-now), kind)
			}
		})
	}
}

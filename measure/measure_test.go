package measure

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
)

const ms = frame.ReceiverTime(time.Millisecond)

// stream feeds a meter with frames as a v1 stream would carry them.
type stream struct {
	m      *Meter
	counts frame.Counts
}

// send delivers one frame at the receiver's time now, latency old.
func (s *stream) send(now frame.ReceiverTime, latency time.Duration, size int) {
	s.counts.Offered++
	s.counts.Sent++
	c := frame.SenderTime(int64(now) - int64(latency))
	f := frame.Meta{Seq: s.counts.Offered, Format: frame.JPEG, Counts: s.counts}
	f.Captured, f.Dequeued, f.Encoded, f.SendStarted = c, c+1000, c+2000, c+3000
	f.FirstByte, f.LastByte, f.Delivered = now-ms, now, now
	s.m.Frame(&f, size, true, clocksync.Same())
}

func collect(records *[]*Record) func(*Record) {
	return func(r *Record) { *records = append(*records, r) }
}

func TestRecordsCloseOnTheirDeadline(t *testing.T) {
	const t0 = 1000 * ms
	for _, tc := range []struct {
		name   string
		at     []frame.ReceiverTime // arrivals
		tick   frame.ReceiverTime   // one tick at the end
		frames []int64
	}{
		{"first frame starts the clock", []frame.ReceiverTime{t0, t0 + 999*ms, t0 + 1000*ms}, t0 + 1500*ms, []int64{2}},
		{"stall over the deadline", []frame.ReceiverTime{t0, t0 + 1700*ms}, t0 + 2000*ms, []int64{1, 1}},
		{"silence closes with what there was", []frame.ReceiverTime{t0}, t0 + 1000*ms, []int64{1}},
		{"an hour of silence is one empty record, not 3600", []frame.ReceiverTime{t0, t0 + 3600_000*ms}, t0 + 3601_000*ms, []int64{1, 1}},
		{"nothing ever came", nil, t0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []*Record
			s := stream{m: NewMeter(Config{RecordLength: time.Second, Closed: collect(&got)})}
			for _, at := range tc.at {
				s.send(at, time.Millisecond, 100)
			}
			s.m.Tick(tc.tick)
			if len(got) != len(tc.frames) {
				t.Fatalf("%d records, want %d", len(got), len(tc.frames))
			}
			for i, r := range got {
				if r.Frames != tc.frames[i] || !r.Complete || r.Elapsed != 1 {
					t.Errorf("record %d: %d frames in %v s, complete %v; want %d in 1 s", i+1, r.Frames, r.Elapsed, r.Complete, tc.frames[i])
				}
			}
		})
	}
}

func TestStalledStreamGetsOneEmptyRecord(t *testing.T) {
	var got []*Record
	s := stream{m: NewMeter(Config{RecordLength: time.Second, Closed: collect(&got)})}
	s.send(1000*ms, 0, 1)
	for at := 1000 * ms; at < 20000*ms; at += 50 * ms {
		s.m.Tick(at)
	}
	if len(got) != 2 || got[0].Frames != 1 || got[1].Frames != 0 {
		t.Fatalf("records %+v, want one of 1 frame and one of none", got)
	}
}

func TestEndMarksTheOpenRecordUnfinished(t *testing.T) {
	var got []*Record
	s := stream{m: NewMeter(Config{RecordLength: time.Second, Records: 2, Closed: collect(&got)})}
	for at := 1000 * ms; at < 2500*ms; at += 100 * ms {
		s.send(at, 0, 10)
	}
	s.m.End(2500 * ms)
	if len(got) != 2 || !got[0].Complete || got[1].Complete || got[1].Elapsed != 0.5 {
		t.Fatalf("got %+v", got)
	}
	if s.m.Done() {
		t.Error("an unfinished record counted towards the number asked for")
	}
	var file bytes.Buffer
	sum, err := NewSummary(&file)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		if err := sum.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if want := "nbr_images, elapsed(sec), avg_img_size\n10, 1.000, 10\n"; file.String() != want {
		t.Errorf("summary %q, want %q", file.String(), want)
	}
}

func TestNumberOfRecords(t *testing.T) {
	var got []*Record
	s := stream{m: NewMeter(Config{RecordLength: time.Second, Records: 3, Closed: collect(&got)})}
	for at := 1000 * ms; at < 9000*ms; at += 100 * ms {
		s.send(at, 0, 10)
	}
	if len(got) != 3 || !s.m.Done() {
		t.Errorf("%d records, done %v; want 3, true", len(got), s.m.Done())
	}
}

func TestFiguresOfARecord(t *testing.T) {
	var got []*Record
	s := stream{m: NewMeter(Config{RecordLength: 10 * time.Second, Closed: collect(&got)})}
	for i := range frame.ReceiverTime(301) { // 30 fps for ten seconds, then one more
		s.send(1000*ms+i*1000*ms/30, 20*time.Millisecond, 67_000+int(i%2)*1242)
	}
	if len(got) != 1 {
		t.Fatalf("%d records, want 1", len(got))
	}
	r := got[0]
	if r.Frames != 300 || r.FPS != 30 || r.MeanSize != 67_621 {
		t.Errorf("%d frames, %v fps, mean %v; want 300, 30, 67621", r.Frames, r.FPS, r.MeanSize)
	}
	near := func(name string, got, want, tol float64) {
		t.Helper()
		if math.Abs(got-want) > tol {
			t.Errorf("%s = %v, want %v ± %v", name, got, want, tol)
		}
	}
	near("latency p50", r.Latency.P50, 20, 0.1)
	near("latency max", r.Latency.Max, 20, 0.1)
	// Age runs from 20 ms at a delivery to 20+33.3 before the next.
	near("age p50", r.Age.P50, 20+33.3/2, 2.1)
	near("age max", r.Age.Max, 20+33.3, 2.1)
	near("jitter", *r.Jitter, 0, 0.01)
	if r.Freezes != 0 || r.Imbalance != 0 || len(r.Lost) != 0 {
		t.Errorf("freezes %d, imbalance %d, lost %v; want none", r.Freezes, r.Imbalance, r.Lost)
	}
	if *r.ClockError != 0 {
		t.Errorf("clock error %v on one machine", *r.ClockError)
	}
	if want := "300 frames in 10.0 s, mean size 67621 bytes: 30.0 fps, latency p50 20.0 p99 20.0 ms, age p99"; !strings.HasPrefix(r.Line(), want) {
		t.Errorf("line %q, want prefix %q", r.Line(), want)
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	var got []*Record
	m := NewMeter(Config{RecordLength: time.Second, Closed: collect(&got)})
	for i := range frame.ReceiverTime(30) {
		at := 1000*ms + i*50*ms
		f := frame.Meta{Format: frame.JPEG}
		f.FirstByte, f.LastByte, f.Delivered = at-ms, at, at
		m.Frame(&f, 10, false, clocksync.Offset{})
	}
	r := got[0]
	if r.Latency != nil || r.Age != nil || r.Jitter != nil || r.ClockError != nil || r.Stages["network"] != nil {
		t.Errorf("a v0 stream has no stamps, yet %+v", r)
	}
	if r.Stages["transfer"] == nil || r.Offered != 20 || r.Delivered != 20 {
		t.Errorf("transfer %v, offered %d, delivered %d; want known, 20, 20", r.Stages["transfer"], r.Offered, r.Delivered)
	}
}

func TestFreezes(t *testing.T) {
	s := stream{m: NewMeter(Config{RecordLength: 10 * time.Second})}
	at := 1000 * ms
	for range 60 {
		s.send(at, 0, 1)
		at += 33 * ms
	}
	at += 140 * ms // gap of 173 ms: below mean + 150
	s.send(at, 0, 1)
	at += 400 * ms
	s.send(at, 0, 1)
	if v := s.m.Live(at); v.Freezes != 1 || v.Record.LongestGap != 400 || v.Record.FrozenFor != 0.4 {
		t.Errorf("%d freezes of %v s, longest gap %v ms; want 1 of 0.4 s, 400 ms", v.Freezes, v.Record.FrozenFor, v.Record.LongestGap)
	}
}

// A sender that loses frames for every cause, connections that swallow frames,
// receivers that refuse some, sessions that end: the account balances after each
// single frame, and agrees with what really happened.
func TestLedgerBalances(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := NewMeter(Config{})
		var truth Ledger
		var c frame.Counts
		met := false
		for range 2000 {
			switch p := r.IntN(100); {
			case p < 20:
				c.Offered++
				cause := frame.Cause(r.IntN(int(frame.SenderCauses)))
				c.Lost[cause]++
				if met {
					truth.Offered++
					truth.Lost[cause]++
				}
			case p < 25: // sent, and swallowed by the connection
				c.Offered++
				c.Sent++
				if met {
					truth.Offered++
					truth.Lost[frame.LostConnection]++
				}
			case p < 28: // arrives and is refused
				c.Offered++
				c.Sent++
				truth.Offered++
				truth.Lost[frame.LostReceiver]++
				met = true
				m.Refused(&c, true)
			case p < 29: // a report settles all
				m.Counts(&c)
			case p < 30:
				m.Counts(&c)
				m.Session(nil)
				c, met = frame.Counts{}, false
			default:
				c.Offered++
				c.Sent++
				truth.Offered++
				truth.Delivered++
				met = true
				m.Frame(&frame.Meta{Counts: c, ReceiverStamps: frame.ReceiverStamps{LastByte: ms}}, 1, true, clocksync.Offset{})
			}
			if l := m.Ledger(); l.Imbalance() != 0 {
				t.Fatalf("seed %d: imbalance %d in %+v", seed, l.Imbalance(), l)
			}
		}
		m.Counts(&c)
		if got := m.Ledger(); got != truth {
			t.Fatalf("seed %d: ledger\n %+v\ntruth\n %+v", seed, got, truth)
		}
	}
}

func TestFrameLogRow(t *testing.T) {
	var b bytes.Buffer
	l, err := NewFrameLog(&b)
	if err != nil {
		t.Fatal(err)
	}
	f := frame.Meta{Seq: 3, Format: frame.JPEG, Width: 320, Height: 240, Counts: frame.Counts{Offered: 3, Sent: 2}}
	f.Captured, f.Dequeued, f.Encoded, f.SendStarted = 1e6, 2e6, 4e6, 5e6
	f.FirstByte, f.LastByte, f.Delivered = 17e6, 18e6, 18e6+1000
	l.Frame("door", &f, 1000, true, clocksync.Offset{Offset: -10 * time.Millisecond, Error: 200 * time.Microsecond, Known: true})
	l.Frame("old", &frame.Meta{Format: frame.I420, ReceiverStamps: f.ReceiverStamps}, 115200, false, clocksync.Offset{})
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	want := FrameLogHeader + "\n" +
		"door,3,jpeg,320,240,1000,1000000,2000000,4000000,5000000,17000000,18000000,18001000,-10000000,200000,1.000,2.000,1.000,2.000,1.000,0.001,7.001,3,2\n" +
		"old,,yuv,,,115200,,,,,17000000,18000000,18001000,,,,,,,1.000,0.001,,,\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestMeasuringAllocatesNothing(t *testing.T) {
	s := stream{m: NewMeter(Config{RecordLength: time.Hour})}
	var b bytes.Buffer
	b.Grow(1 << 20)
	l, _ := NewFrameLog(&b)
	at := 1000 * ms
	f := frame.Meta{Seq: 1, Format: frame.JPEG}
	if n := testing.AllocsPerRun(1000, func() {
		at += 33 * ms
		s.send(at, 5*time.Millisecond, 1000)
		l.Frame("door", &f, 1, true, clocksync.Same())
	}); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}

package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/measure"
	"framepipe/wire"
)

// Who connects and says nothing is no cause for a warning (a sender's spare dials
// are such); who breaks off in the middle of a word is.
func TestWarningsAboutPeers(t *testing.T) {
	var mu sync.Mutex
	var text bytes.Buffer
	said := func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
	r := startReceiver(t, ReceiverConfig{Log: slog.New(slog.NewTextHandler(locked{&mu, &text}, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	for _, word := range []string{"", "F"} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(word))
		c.Close()
	}
	eventually(t, "both have left", func() bool {
		return strings.Contains(said(), errSilent.Error()) && strings.Contains(said(), "middle of a message")
	})
	if n := strings.Count(said(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want one, about the one who began:\n%s", n, said())
	}
}

// fakeSender speaks v1 by hand, with a clock of its own.
type fakeSender struct {
	t       *testing.T
	conn    net.Conn
	r       *reader
	session uint64
	clock   func() frame.SenderTime
	counts  frame.Counts
}

func dialFake(t *testing.T, addr string, clock func() frame.SenderTime) *fakeSender {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &fakeSender{t: t, conn: c, r: newReader(c, &frame.Pool{}, time.Minute), session: rand.Uint64() | 1, clock: clock}
}

func (s *fakeSender) write(b []byte) {
	s.t.Helper()
	if _, err := s.conn.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// hello introduces the sender and answers pings until it is welcome.
func (s *fakeSender) hello(name string) {
	s.t.Helper()
	text := mustJSON(wire.HelloText{Name: name})
	h := wire.Hello{Version: 1, Session: s.session, Now: s.clock(), Counts: s.counts}
	s.write(append(append(wire.Preamble[:], h.Append(nil, len(text))...), text...))
	if err := s.r.preamble(); err != nil {
		s.t.Fatal(err)
	}
	for s.answer() != wire.TypeWelcome {
	}
}

// answer reads one message, answers it if it is a ping, and returns its type.
func (s *fakeSender) answer() wire.Type {
	m, err := s.r.message(0)
	if err != nil {
		return 0
	}
	if m.Type == wire.TypePing {
		var p wire.Ping
		if err := p.Parse(m.header); err != nil {
			s.t.Error(err)
		}
		t2 := s.clock()
		pong := wire.Pong{ID: p.ID, T1: p.T1, T2: int64(t2), T3: int64(s.clock())}
		if _, err := s.conn.Write(pong.Append(nil)); err != nil {
			return 0
		}
	}
	if err := s.r.skip(m.Payload); err != nil {
		return 0
	}
	return m.Type
}

func (s *fakeSender) frame(data []byte, captured frame.SenderTime) {
	s.t.Helper()
	s.counts.Offered++
	s.counts.Sent++
	m := frame.Meta{Seq: s.counts.Offered, Format: frame.JPEG, Counts: s.counts}
	m.Captured, m.Dequeued, m.Encoded, m.SendStarted = captured, captured, captured, s.clock()
	s.write(append(wire.AppendFrame(nil, &m, len(data)), data...))
}

// A sender whose clock is wrong by years and runs 300 ppm fast: the latency that
// the receiver reports is the true one, within the bound that it states.
func TestLatencyIsTrueUnderAWrongAndDriftingClock(t *testing.T) {
	for _, tc := range []struct {
		name   string
		offset time.Duration
		drift  float64
	}{
		{"same clock", 0, 0},
		{"three years ahead, 300 ppm fast", 3 * 365 * 24 * time.Hour, 300e-6},
		{"started a minute ago, 300 ppm slow", -time.Duration(frame.MonotonicNow()) + time.Minute, -300e-6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t0 := frame.MonotonicNow()
			remote := func(local int64) frame.SenderTime {
				return frame.SenderTime(local + int64(tc.offset) + int64(float64(local-t0)*tc.drift))
			}
			clock := func() frame.SenderTime { return remote(frame.MonotonicNow()) }
			r := startReceiver(t, ReceiverConfig{RecordLength: time.Hour})
			s := dialFake(t, r.addr, clock)
			s.hello("cam")
			go func() {
				for s.answer() != 0 {
				}
			}()
			f := r.feed("cam")
			v := f.Hub.Subscribe()
			defer v.Close()
			const age = 40 * time.Millisecond // each frame was captured so long before it is sent
			worst := time.Duration(0)
			for range 60 {
				sent := frame.MonotonicNow()
				s.frame(padded(5000), remote(sent-int64(age)))
				fr, err := v.Next(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				o := f.clock.At(fr.LastByte)
				truth := time.Duration(int64(fr.LastByte) - (sent - int64(age)))
				measured, bound := fr.LastByte.Sub(o.ToReceiver(fr.Captured)), o.ErrorAt(fr.Captured)
				fr.Release()
				if miss := (measured - truth).Abs(); !o.Known || miss > bound {
					t.Fatalf("measured %v, truth %v: wrong by %v, stated bound %v (known %v)", measured, truth, miss, bound, o.Known)
				}
				worst = max(worst, bound)
				time.Sleep(20 * time.Millisecond)
			}
			if worst > 20*time.Millisecond {
				t.Errorf("the bound is as wide as %v on loopback", worst)
			}
			live := f.Meter.Live(frame.ReceiverNow())
			if live.Latency == nil || live.Latency.P50 < 40-float64(worst)/1e6 || live.Latency.P50 > 500 {
				t.Errorf("reported latency %+v for frames that are 40 ms old when sent", live.Latency)
			}
		})
	}
}

func TestHostilePeersLoseTheirOwnConnectionOnly(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{Timeout: 3 * time.Second, MaxFrame: 1 << 20, MaxCameras: 32})
	good := newTestSender(t, SenderConfig{Address: r.addr, Name: "good"})
	runSender(t, good)
	src := &source{box: good.Mailbox(), data: padded(9000)}
	if err := src.box.WaitOnline(context.Background()); err != nil {
		t.Fatal(err)
	}
	fine := r.feed("good")
	var one sync.Mutex // one at a time feeds the good camera
	hello := func(text string) []byte {
		h := wire.Hello{Version: 1, Session: 1}
		return append(append(wire.Preamble[:], h.Append(nil, len(text))...), text...)
	}
	t.Run("all", func(t *testing.T) { hostile(t, r, fine, src, &one, hello) })
}

func hostile(t *testing.T, r *rig, fine *Feed, src *source, one *sync.Mutex, hello func(string) []byte) {
	for _, tc := range []struct {
		name string
		send []byte
	}{
		{"v0 frame of 4 GiB less one", []byte{0xff, 0xff, 0xff, 0xff}},
		{"v0 frame just beyond the limit", wire.AppendV0(nil, 1<<20+1)},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"TLS", []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc}},
		{"preamble and garbage", append(wire.Preamble[:], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
		{"no hello first", append(wire.Preamble[:], (&wire.Ping{ID: 1}).Append(nil)...)},
		{"hello that is no JSON", hello("{")},
		{"hello with session 0", func() []byte {
			h := wire.Hello{}
			return append(wire.Preamble[:], append(h.Append(nil, 2), "{}"...)...)
		}()},
		{"hello of 1 GiB", append(wire.Preamble[:], 1, 0, 48, 0, 0, 0, 0, 0x40)},
		{"hello cut short", hello(`{"name":"x"}`)[:30]},
		{"three bytes and silence", []byte{1, 0, 0}},
		{"a v0 frame that never ends", wire.AppendV0(nil, 1<<20)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // each waits for the receiver's patience to end
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write(tc.send); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil && !isReset(err) {
				t.Fatalf("the connection is still open: %v", err)
			}
			one.Lock()
			defer one.Unlock()
			before := fine.Meter.Ledger().Delivered
			src.put()
			eventually(t, "a frame of the good camera", func() bool { return fine.Meter.Ledger().Delivered > before })
		})
	}
}

func isReset(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return !(ok && ne.Timeout())
}

// One byte at a time, for ever: the frame has to be complete in time.
func TestTrickleIsCutOff(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{Timeout: time.Second})
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	frame := append(wire.AppendV0(nil, 100_000), make([]byte, 100_000)...)
	start := time.Now()
	for i := 0; ; i++ {
		if _, err := c.Write(frame[i : i+1]); err != nil {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("a peer may trickle as long as it likes")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// A length is no reason to take memory.
func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	var p frame.Pool
	a, b := net.Pipe()
	go func() {
		a.Write(make([]byte, 100))
		a.Close()
	}()
	r := newReader(b, &p, time.Minute)
	if _, _, err := r.payload(512 << 20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v, want unexpected EOF", err)
	}
	if f := p.Get(1); cap(f.Data) > 2*firstChunk {
		t.Errorf("%d bytes were taken for 100 that came", cap(f.Data))
	}
}

func TestBombsAndDuplicatesAreRefusedAndBooked(t *testing.T) {
	r := startReceiver(t, ReceiverConfig{})
	s := dialFake(t, r.addr, frame.SenderNow)
	s.hello("cam")
	go func() {
		for s.answer() != 0 {
		}
	}()
	f := r.feed("cam")
	bomb := append([]byte{}, testJPEG()...)
	for i := 0; i+9 < len(bomb); i++ {
		if bomb[i] == 0xff && bomb[i+1] == 0xc0 { // SOF0: 65535x65535
			copy(bomb[i+5:], []byte{0xff, 0xff, 0xff, 0xff})
			break
		}
	}
	s.frame(testJPEG(), 1)
	s.frame(bomb, 1)
	s.frame([]byte("no picture at all"), 1)
	s.frame(testJPEG(), 1)
	s.counts.Offered -= 2 // the next frame repeats a number
	s.counts.Sent -= 2
	s.frame(testJPEG(), 1)
	eventually(t, "five frames", func() bool { return f.Meter.Ledger().Delivered+f.Meter.Ledger().Lost[frame.LostReceiver] == 5 })
	if l := f.Meter.Ledger(); l.Delivered != 2 || l.Lost[frame.LostReceiver] != 3 {
		t.Errorf("ledger %+v; want 2 delivered, 3 refused", l)
	}
}

// A peer that lies in its counters harms its own figures only.
func TestAbsurdCounters(t *testing.T) {
	m := measure.NewMeter(measure.Config{})
	for _, v := range []uint64{0, 1, math.MaxUint64, 7, math.MaxUint64 - 3} {
		c := frame.Counts{Offered: v, Sent: v / 2}
		m.Frame(&frame.Meta{Counts: c, ReceiverStamps: frame.ReceiverStamps{LastByte: 5}}, 1, true, clocksync.Offset{})
		m.Counts(&c)
		m.Live(9)
	}
}

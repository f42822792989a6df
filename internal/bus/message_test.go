package bus

import (
	"bytes"
	"math/bits"
	"testing"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/stream"
	"framepipe/wire"
)

// messages cuts a frame as publish does.
func messages(h head, m *frame.Meta, data []byte, per int) (all [][]byte) {
	h.size, h.parts = len(data), max(1, (len(data)+per-1)/per)
	for ; h.part < h.parts; h.part++ {
		n := min(per, len(data))
		b := h.append(nil)
		if h.part == 0 {
			b = wire.AppendFrame(b, m, h.size)
		}
		all = append(all, append(b, data[:n]...))
		data = data[n:]
	}
	return all
}

func TestFramesCrossInParts(t *testing.T) {
	m := frame.Meta{Seq: 7, Format: frame.JPEG, Width: 640, Height: 480, StampKind: frame.StampStart, Counts: frame.Counts{Offered: 9, Sent: 8}}
	m.Captured, m.Encoded = 5, 6
	m.Counts.Lost[frame.LostStale] = 1
	h := head{session: 3, number: 4, delivered: 77, clock: clocksync.Offset{Offset: -5 * time.Second, Error: time.Millisecond, Known: true}, stamped: true}
	for _, size := range []int{0, 1, 99, 100, 101, 1000} {
		data := bytes.Repeat([]byte("abc"), size)[:size]
		all := messages(h, &m, data, 100)
		a := assembler{max: 1000}
		for i, b := range all {
			f, got, err := a.add(b)
			if err != nil || (f != nil) != (i == len(all)-1) {
				t.Fatalf("%d bytes, part %d: %v, %v", size, i, f, err)
			}
			if f != nil && (!bytes.Equal(f.Data, data) || f.Meta != m || got.session != 3 || got.number != 4 || got.delivered != 77 || got.clock != h.clock || !got.stamped) {
				t.Errorf("%d bytes: %+v %+v", size, f.Meta, got)
			}
		}
		if size < 200 {
			continue
		}
		// A part that is missing costs its frame and no other.
		b := assembler{max: 1000}
		for i, m := range all {
			if i == 1 {
				continue
			}
			if f, _, _ := b.add(m); f != nil {
				t.Errorf("%d bytes: a frame without its second part", size)
			}
		}
		for i, m := range all {
			if f, _, err := b.add(m); err != nil || (f != nil) != (i == len(all)-1) {
				t.Errorf("%d bytes, after a loss: %v, %v", size, f, err)
			}
		}
	}
	if _, _, err := (&assembler{max: 50}).add(messages(h, &m, make([]byte, 51), 100)[0]); err == nil {
		t.Error("a frame above the limit was taken")
	}
}

// Leaving out the lowest layer halves the rate, each time.
func TestLayersHalve(t *testing.T) {
	var n [layers]int
	for i := uint64(1); i <= 1<<10; i++ {
		n[min(bits.TrailingZeros64(i), layers-1)]++
	}
	left := 1 << 10
	for l := range layers - 1 {
		if left -= n[l]; left != 1<<10>>(l+1) {
			t.Errorf("without layers up to %d %d of 1024 are left", l, left)
		}
	}
}

func TestPatterns(t *testing.T) {
	b := New(Config{Name: "a.b", Take: []string{"studio", "hall/door*"}})
	for name, want := range map[[2]string]bool{{"studio", "door"}: true, {"studio2", "door"}: false, {"hall", "door2"}: true, {"hall", "roof"}: false} {
		if got := b.takes(name[0], name[1]); got != want {
			t.Errorf("%v: %v", name, got)
		}
	}
	if b.cfg.Name != "a_b" || Check([]string{"*", "a/b*"}) != nil || Check([]string{"a/b/c"}) == nil || Check([]string{"["}) == nil || Check([]string{""}) == nil {
		t.Error("names or patterns")
	}
}

// What is lost on the bus has a cause of its own, with a camera that counts and
// with one that does not.
func TestLossesAreTheBus(t *testing.T) {
	for _, stamped := range []bool{true, false} {
		recv := stream.NewReceiver(stream.ReceiverConfig{})
		relay, feed, err := recv.Relay("studio.door")
		if err != nil {
			t.Fatal(err)
		}
		tk := taker{relay: relay, clock: new(clock)}
		put := func(session, number uint64) {
			f := frame.New(make([]byte, 10), nil)
			if stamped {
				f.Counts = frame.Counts{Offered: number + 5, Sent: number + 5}
			}
			tk.deliver(f, &head{session: session, number: number, stamped: stamped})
			if l := feed.Meter.Ledger(); l.Imbalance() != 0 {
				t.Errorf("stamped %v, frame %d: %+v", stamped, number, l)
			}
		}
		for _, n := range []uint64{100, 101, 105, 105, 104, 106} {
			put(1, n)
		}
		put(2, 1)
		put(2, 3)
		l := feed.Meter.Ledger()
		if l.Delivered != 6 || l.Lost[frame.LostBus] != 4 || l.LostTotal() != 4 {
			t.Errorf("stamped %v: %+v", stamped, l)
		}
	}
}

func FuzzMessages(f *testing.F) {
	m := frame.Meta{Seq: 1, Format: frame.JPEG}
	all := messages(head{session: 1, number: 1}, &m, []byte("0123456789"), 6)
	f.Add(all[0], all[1])
	f.Add([]byte("FPB1"), []byte{})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		a := assembler{max: 1000}
		for _, b := range [][]byte{one, two, one, two} {
			fr, h, err := a.add(b)
			if fr != nil && (err != nil || len(fr.Data) != h.size || h.size > 1000) {
				t.Errorf("%d bytes of %d, %v", len(fr.Data), h.size, err)
			}
		}
	})
}

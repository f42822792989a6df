package stream

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/frame"
	"framepipe/wire"
)

// linkModel turns frames into acknowledgements as a link of a known rate would.
type linkModel struct {
	rate   float64 // bytes/s
	jitter func() float64
}

// frame sends one frame of n bytes and returns its acknowledgement.
func (l *linkModel) ack(n int) wire.Ack {
	rest := n - 1448 // what came with the first read
	took := float64(rest) / l.rate
	if l.jitter != nil {
		took *= l.jitter()
	}
	return wire.Ack{FirstByte: 1e9, LastByte: frame.ReceiverTime(1e9 + took*1e9), Rest: uint32(max(rest, 0))}
}

func TestTargetFollowsTheLink(t *testing.T) {
	const mbit = 1e6 / 8
	r := rand.New(rand.NewPCG(1, 1))
	for _, tc := range []struct {
		name string
		link linkModel
		// least and most share of what the link would carry of 30 frames/s within the target
		least, most float64
	}{
		{"steady", linkModel{rate: 35 * mbit}, 0.8, 0.9},
		{"slow", linkModel{rate: 4 * mbit}, 0.8, 0.9},
		// Bursts stretch most frames to many times their time.
		{"bursts and jitter", linkModel{rate: 20 * mbit, jitter: func() float64 {
			if r.IntN(3) > 0 {
				return 1 + 8*r.ExpFloat64()
			}
			return 1 + 0.1*r.ExpFloat64()
		}}, 0.35, 0.95},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tg := &target{latency: 80 * time.Millisecond}
				c := &senderConn{flight: newFlight()}
				size, sum := 20_000, 0
				lost := uint32(0)
				for i := range 400 {
					time.Sleep(time.Second / 30)
					if b := tg.budget(c); b > 0 {
						size = b
					}
					if tc.link.jitter != nil && i%4 == 0 {
						lost++
					}
					tg.acked(tc.link.ack(size), size, lost)
					if i >= 200 {
						sum += size
					}
				}
				share := float64(sum) / 200 * 30 / tc.link.rate
				if share < tc.least || share > tc.most {
					t.Errorf("frames use %.2f of the link, want %.2f to %.2f", share, tc.least, tc.most)
				}
			})
		})
	}
}

func TestTargetFallsAtOnceAndRisesSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := &target{latency: 80 * time.Millisecond}
		c := &senderConn{flight: newFlight()}
		link := &linkModel{rate: 35e6 / 8}
		step := func() int {
			time.Sleep(time.Second / 30)
			n := tg.budget(c)
			if n == 0 {
				n = 67_000
			}
			tg.acked(link.ack(n), n, 0)
			return n
		}
		for range 60 {
			step()
		}
		link.rate = 8e6 / 8
		n := 0
		for range 6 {
			n = step()
		}
		if n > 32_000 {
			t.Errorf("six frames after the link fell to 8 Mbit/s: still %d bytes", n)
		}
		link.rate = 35e6 / 8
		frames := 0
		for ; n < 67_000 && frames < 300; frames++ {
			was := n
			if n = step(); float64(n) > 1.04*float64(was)+1 {
				t.Fatalf("grew from %d to %d in one frame", was, n)
			}
		}
		if frames > 90 {
			t.Errorf("%d frames until the old size was back, want at most three seconds' worth", frames)
		}
	})
}

// A fast link delivers a frame with one read; there is nothing to measure then,
// and nothing to fear: the estimate must not stay where a slow time left it.
func TestTargetRecoversOnAFastLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tg := &target{latency: 80 * time.Millisecond}
		c := &senderConn{flight: newFlight()}
		slow := &linkModel{rate: 2e6 / 8}
		n := 10_000
		for range 60 {
			time.Sleep(time.Second / 30)
			if b := tg.budget(c); b > 0 {
				n = b
			}
			tg.acked(slow.ack(n), n, 0)
		}
		for i := 0; n < 60_000; i++ {
			time.Sleep(time.Second / 30)
			n = tg.budget(c)
			tg.acked(wire.Ack{FirstByte: 5, LastByte: 6, Rest: 0}, n, 0)
			if i > 150 {
				t.Fatalf("after five seconds on a fast link still %d bytes", n)
			}
		}
	})
}

func TestLossesDoNotCountAsSlowness(t *testing.T) {
	tg := &target{latency: 80 * time.Millisecond}
	link := &linkModel{rate: 35e6 / 8}
	for range 20 {
		tg.acked(link.ack(60_000), 60_000, 0)
	}
	before := tg.known()
	tg.acked(wire.Ack{FirstByte: 1, LastByte: 1 + 60e6, Rest: 58_000}, 60_000, 3) // 60 ms with three segments sent again
	if tg.known() != before {
		t.Errorf("the estimate fell from %.0f to %.0f because packets were lost", before, tg.known())
	}
	tg.acked(wire.Ack{FirstByte: 1, LastByte: 1 + 400e6, Rest: 58_000}, 60_000, 4)
	if tg.known() >= before {
		t.Error("400 ms for a frame changed nothing")
	}
}

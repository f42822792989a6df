package main

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/stream"
)

// The size of the raw picture, and the one that JPEGs claim to have.
const frameWidth, frameHeight = 320, 240

// spread is how much a JPEG's size varies around the nominal one, either way.
const spread = 0.15

// source is a camera that costs nothing: it ticks, and its frames are copies of
// the same bytes. As with a real one, ticks that pass while nobody asks are lost,
// and who asks late gets the newest tick.
type source struct {
	frame  frameCase
	random []byte // what frames are cut from
	sizes  *rand.Rand
	pool   frame.Pool

	// limit, if not nil, is asked before each frame how many bytes it should have
	// at most; 0 = no limit.
	limit func() int

	start frame.SenderTime // when tick 0 happens
	last  uint64           // the newest tick that was taken or passed over
	gaps  uint64
}

// header is a JPEG whose bytes behind the end marker nobody reads.
var header = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	picture := image.NewYCbCr(image.Rect(0, 0, frameWidth, frameHeight), image.YCbCrSubsampleRatio420)
	if err := jpeg.Encode(&b, picture, nil); err != nil {
		panic(err) // the standard library encodes its own pictures
	}
	return b.Bytes()
})

func newSource(f frameCase, seed uint64) *source {
	s := &source{frame: f, sizes: rand.New(rand.NewPCG(seed, 0x512e))}
	s.random = make([]byte, int(float64(f.bytes)*(1+spread))+len(header()))
	fill := rand.NewChaCha8([32]byte{})
	fill.Read(s.random)
	if !f.raw {
		copy(s.random, header())
	}
	return s
}

// next waits for the next tick and returns its frame.
func (s *source) next(ctx context.Context) (*frame.Frame, error) {
	period := float64(time.Second) / s.frame.fps
	at := func(n uint64) frame.SenderTime { return s.start + frame.SenderTime(math.Round(float64(n)*period)) }
	if wait := at(s.last + 1).Sub(frame.SenderNow()); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n := max(s.last+1, uint64(max(0, float64(frame.SenderNow()-s.start)/period)))
	s.gaps += n - s.last - 1
	s.last = n
	f := s.pool.Get(s.size())
	copy(f.Data, s.random)
	f.Seq, f.StampKind = n, frame.StampTick
	f.Format, f.Width, f.Height = frame.JPEG, frameWidth, frameHeight
	if s.frame.raw {
		f.Format, f.Stride = frame.RGB24, 3*frameWidth
	}
	f.Captured = at(n)
	f.Dequeued = frame.SenderNow()
	f.Encoded = f.Dequeued
	f.Counts.Offered = n
	f.Counts.Lost[frame.LostGap] = s.gaps
	return f, nil
}

// size is the next frame's.
func (s *source) size() int {
	if s.frame.raw {
		return s.frame.bytes
	}
	n := s.frame.bytes
	if s.limit != nil {
		if most := s.limit(); most > 0 {
			n = min(n, most)
		}
	}
	n = int(float64(n) * (1 + spread*(2*s.sizes.Float64()-1)))
	return max(n, len(header()))
}

// run puts frames into a sender's mailbox until d has passed since the first
// tick. It asks for frames as the capture loop does.
func (s *source) run(ctx context.Context, sender *stream.Sender, d time.Duration) error {
	box := sender.Mailbox()
	if err := box.WaitOnline(ctx); err != nil {
		return err
	}
	s.start = frame.SenderNow()
	for frame.SenderNow().Sub(s.start) < d {
		if sender.Policy().Blocks() {
			if err := box.WaitIdle(ctx, false); err != nil {
				return err
			}
		}
		f, err := s.next(ctx)
		if err != nil {
			return err
		}
		box.Put(f)
	}
	return nil
}

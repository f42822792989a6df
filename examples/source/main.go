// Command source shows how a program of your own becomes a camera: it draws a
// ball that goes around and sends it to a framepipe receiver, measured as any
// other camera.
//
//	framepipe receive &
//	go run ./examples/source 127.0.0.1:1308
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"time"

	"framepipe/camera"
	"framepipe/capture"
	"framepipe/frame"
	"framepipe/stream"
	"framepipe/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: source HOST:PORT")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], slog.Default()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run sends until ctx ends: a capture loop on one side of a mailbox for the
// newest frame, a sender on the other.
func run(ctx context.Context, address string, log *slog.Logger) error {
	policy, err := stream.ParsePolicy("gated")
	if err != nil {
		return err
	}
	loop := camera.New(camera.Config{
		Source: "ball", Capture: capture.Config{Format: frame.JPEG, Quality: 85}, Log: log,
		Open: func(context.Context, string, capture.Config) (capture.Camera, error) {
			return &ball{start: time.Now()}, nil
		},
	})
	sender := stream.NewSender(stream.SenderConfig{
		Address: address, Name: "ball", Session: uint64(time.Now().UnixNano()), Policy: policy, Log: log,
		State: func() wire.StateText {
			s := loop.State()
			return wire.StateText{Mode: "sequence", Port: "video", Format: s.Format.Word(), Width: s.Width, Height: s.Height, FPS: s.Info.FPS, Quality: s.Quality, Codec: s.Codec}
		},
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sent := make(chan error, 1)
	go func() {
		sent <- sender.Run(ctx)
		stop()
	}()
	err = loop.Run(ctx, sender.Mailbox())
	stop()
	return errors.Join(err, <-sent)
}

const width, height, fps = 320, 240, 30

// ball is the camera. Next is the only method with work to do.
type ball struct {
	start time.Time
	n     uint64 // of the newest tick that was taken
	lost  uint64 // ticks that nobody was ready for
	pool  frame.Pool
}

// Next waits for the next tick of the clock and draws its picture. Who asks late
// gets the newest one; those in between are counted, so that the ledger balances.
func (b *ball) Next(ctx context.Context) (*frame.Frame, error) {
	const period = time.Second / fps
	next := max(b.n+1, uint64(time.Since(b.start)/period))
	b.lost += next - b.n - 1
	b.n = next
	at := b.start.Add(time.Duration(next) * period)
	select {
	case <-time.After(time.Until(at)):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f := b.pool.Get(width * height) // comes back to the pool when the last user has released it
	f.Format, f.Width, f.Height, f.Stride = frame.GREY, width, height, width
	draw(f.Data, next)
	f.Dequeued = frame.SenderNow()
	f.Captured, f.StampKind = f.Dequeued-frame.SenderTime(time.Since(at)), frame.StampTick
	f.Seq, f.Counts.Offered = next, next
	f.Counts.Lost[frame.LostGap] = b.lost
	return f, nil
}

func draw(p []byte, n uint64) {
	angle := float64(n) * 2 * math.Pi / (3 * fps)
	cx, cy := width/2+90*math.Cos(angle), height/2+70*math.Sin(angle)
	for i := range p {
		p[i] = byte(40 + i/width/4)
		if math.Hypot(float64(i%width)-cx, float64(i/width)-cy) < 24 {
			p[i] = 230
		}
	}
}

func (b *ball) Info() capture.Info {
	return capture.Info{Source: "ball", Name: "a ball", Width: width, Height: height, FPS: fps, Format: frame.GREY.Word(), Mode: "sequence", Port: "video", StampKind: frame.StampTick.String()}
}

func (b *ball) Controls() ([]capture.Control, error) { return nil, nil }

func (b *ball) SetControl(name string, _ int64) (int64, error) {
	return 0, fmt.Errorf("the ball has no control %s", name)
}

func (b *ball) Close() error { return nil }

package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"framepipe/frame"
	"framepipe/stream"
)

// keepName is the stream that holds a receiver's frames.
func keepName(receiver string) string { return "framepipe-" + receiver }

// keep has JetStream hold the frames of the last while, in memory. It tries until
// it is done: the bus may be without a leader for a moment.
func (b *Bus) keep(ctx context.Context, nc *nats.Conn) {
	js, err := jetstream.New(nc)
	for said := ""; ctx.Err() == nil; {
		if err == nil {
			c, cancel := context.WithTimeout(ctx, 3*time.Second)
			_, err = js.CreateOrUpdateStream(c, jetstream.StreamConfig{Name: keepName(b.cfg.Name), Description: "framepipe: frames of the last " + b.cfg.Keep.String(),
				Subjects: []string{b.subject("*", "frame", "*"), b.subject("*", "record")}, MaxAge: b.cfg.Keep, Replicas: max(1, b.cfg.Replicas), Storage: jetstream.MemoryStorage, Discard: jetstream.DiscardOld, NoAck: true})
			cancel()
		}
		if err == nil {
			b.cfg.Log.Info("the bus keeps frames", "for", b.cfg.Keep)
			return
		}
		if err.Error() != said {
			said = err.Error()
			b.cfg.Log.Warn("the bus cannot keep frames yet", "cause", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
		js, err = jetstream.New(nc)
	}
}

// ErrNotKept says that the bus has no frame of that time.
var ErrNotKept = errors.New("the bus keeps no frame of that time (receive --bus-keep, and JetStream on the bus)")

// Past is the first frame of a camera that the bus got so long ago or later, by the
// bus's clock. The caller releases it.
func (b *Bus) Past(ctx context.Context, f *stream.Feed, ago time.Duration) (*frame.Frame, error) {
	nc := b.conn()
	if nc == nil {
		return nil, ErrNotKept
	}
	receiver, camera := b.cfg.Name, f.Name()
	if f.Relayed() {
		receiver, camera, _ = strings.Cut(f.Name(), ".")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	start := time.Now().Add(-ago)
	want := jetstream.ConsumerConfig{FilterSubject: "framepipe." + receiver + "." + token(camera) + ".frame.*", DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &start,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 10 * time.Second}
	c, err := consumer(ctx, js, keepName(receiver), want)
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		return nil, ErrNotKept
	}
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	parts := assembler{max: b.cfg.MaxFrame}
	for ctx.Err() == nil {
		batch, err := c.Fetch(4, jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return nil, fmt.Errorf("bus: %w", err)
		}
		n := 0
		for m := range batch.Messages() {
			n++
			if fr, h, _ := parts.add(m.Data()); fr != nil {
				fr.FirstByte = frame.ReceiverNow()
				fr.LastByte, fr.Delivered = fr.FirstByte, fr.FirstByte
				_ = h
				return fr, nil
			}
		}
		if n == 0 {
			return nil, ErrNotKept
		}
	}
	return nil, ctx.Err()
}

// consumer asks again while nobody is in charge of the stream, since a server that
// died takes questions with it. (The library's ordered consumer asks for ever then,
// whatever ctx says.)
func consumer(ctx context.Context, js jetstream.JetStream, name string, want jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		c, err := js.CreateConsumer(once, name, want)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return c, err
		}
	}
}

package bus

import (
	"context"
	"encoding/json"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/stream"
	"framepipe/wire"
)

// layers is how many there are: without the lowest three, every eighth frame is left.
const layers = 4

// state is what is told of a camera.
type state struct {
	Receiver  string         `json:"receiver"`
	Camera    string         `json:"camera"`
	Connected bool           `json:"connected"`
	Cause     string         `json:"cause,omitempty"`
	Wire      string         `json:"wire"`
	Software  string         `json:"software,omitempty"`
	Host      string         `json:"host,omitempty"`
	State     wire.StateText `json:"state"`
}

// published is one of our cameras.
type published struct {
	feed    *stream.Feed
	sub     *stream.Viewer
	session uint64 // of what we count
	life    uint64 // of the camera
	number  uint64
	buf     []byte
}

// publish sends a camera's frames until ctx ends or the camera is forgotten.
func (b *Bus) publish(ctx context.Context, nc *nats.Conn, p *published) {
	defer p.sub.Close()
	var subjects [layers]string
	for l := range layers {
		subjects[l] = b.subject(token(p.feed.Name()), "frame", strconv.Itoa(l))
	}
	p.session, p.life = rand.Uint64(), p.feed.Session()
	tell := time.NewTicker(beat)
	defer tell.Stop()
	b.tell(nc, p)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tell.C:
			if b.cfg.Receiver.Feed(p.feed.Name()) != p.feed {
				return
			}
			b.tell(nc, p)
		case <-p.sub.Ready():
			if f := p.sub.TryNext(); f != nil {
				p.send(nc, &subjects, f)
				f.Release()
			}
		}
	}
}

// tell publishes the camera's state.
func (b *Bus) tell(nc *nats.Conn, p *published) {
	s := p.feed.Brief()
	text, err := json.Marshal(state{Receiver: b.cfg.Name, Camera: p.feed.Name(), Connected: s.Connected, Cause: s.Cause, Wire: s.Wire, Software: s.Software, Host: s.Host, State: s.Camera})
	if err == nil {
		_ = nc.Publish(b.subject(token(p.feed.Name()), "state"), text) // it is told again
	}
}

// send publishes one frame. What cannot be published now is lost: its number is
// missing in what follows.
func (p *published) send(nc *nats.Conn, subjects *[layers]string, f *frame.Frame) {
	p.number++
	if life := p.feed.Session(); life != p.life {
		p.life, p.session = life, rand.Uint64()
	}
	most := int(nc.MaxPayload())
	if most <= room || !nc.IsConnected() {
		return
	}
	clock := p.feed.Clock()
	if clock.Known && f.Captured != 0 { // without the drift since: as of this frame
		clock = clocksync.Offset{Offset: time.Duration(int64(f.Captured) - int64(clock.ToReceiver(f.Captured))), Error: clock.ErrorAt(f.Captured), Known: true}
	}
	per := most - room
	h := head{parts: max(1, (len(f.Data)+per-1)/per), session: p.session, number: p.number + p.sub.Dropped(), delivered: frame.SenderTime(f.Delivered),
		clock: clock, size: len(f.Data), stamped: f.Captured != 0 || f.Counts.Offered != 0}
	subject := subjects[min(bits.TrailingZeros64(h.number), layers-1)]
	for data := f.Data; h.part < h.parts; h.part++ {
		n := min(per, len(data))
		p.buf = h.append(p.buf[:0])
		if h.part == 0 {
			p.buf = wire.AppendFrame(p.buf, &f.Meta, len(f.Data))
		}
		p.buf = append(p.buf, data[:n]...)
		if nc.Publish(subject, p.buf) != nil {
			return
		}
		data = data[n:]
	}
}

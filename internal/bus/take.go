package bus

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/stream"
)

// What lag costs a subscriber.
const (
	lagging  = 400 * time.Millisecond // later than this, a frame is old
	patience = 300 * time.Millisecond // and if frames are for so long, fewer are taken
	recovery = 10 * time.Second       // and more again after so long without
	hopeless = 2 * time.Second        // so late, with the fewest: begin anew
	lost     = 5 * time.Second        // nothing heard of a camera: it is gone
)

// taker is a camera of another receiver that we take.
type taker struct {
	key    string // receiver/camera
	prefix string // of its subjects
	relay  *stream.Relay
	feed   *stream.Feed
	stop   chan struct{} // closed when the receiver has forgotten the camera for another one
	clock  *clock
	frames chan *nats.Msg
	states chan state

	heard time.Time // owned by Run
	gone  bool      // owned by Run
	retry time.Time // owned by Run; before this there is no room for the camera

	level   int // lowest layer that is taken, as the rest owned by take
	subs    [layers]*nats.Subscription
	parts   assembler
	session uint64
	number  uint64 // of the last frame
	late    time.Time
	good    time.Time
	renewed time.Time
}

// heard takes the state of a camera. It returns a taker that is to begin.
func (b *Bus) heard(nc *nats.Conn, m *nats.Msg) *taker {
	var s state
	if json.Unmarshal(m.Data, &s) != nil || token(s.Receiver) != s.Receiver || s.Receiver == b.cfg.Name || !b.takes(s.Receiver, s.Camera) {
		return nil
	}
	key := s.Receiver + "/" + token(s.Camera)
	t := b.takers[key]
	if t != nil && t.relay != nil && b.cfg.Receiver.Feed(t.feed.Name()) != t.feed {
		close(t.stop)
		t = nil
	}
	begins := t == nil
	if begins {
		t = &taker{key: key, prefix: "framepipe." + s.Receiver + "." + token(s.Camera) + ".frame.", frames: make(chan *nats.Msg, 512), states: make(chan state, 1), stop: make(chan struct{}),
			parts: assembler{max: b.cfg.MaxFrame}}
		b.takers[key] = t
	}
	t.heard = time.Now()
	if t.relay == nil {
		if !begins && t.heard.Before(t.retry) {
			return nil
		}
		relay, feed, err := b.cfg.Receiver.Relay(s.Receiver + "." + s.Camera)
		if err != nil {
			t.retry = t.heard.Add(10 * time.Second)
			b.cfg.Log.Warn("a camera on the bus is not taken", "camera", key, "cause", err)
			return nil
		}
		t.relay, t.feed, begins = relay, feed, true
		if t.clock = b.clocks[s.Receiver]; t.clock == nil {
			t.clock = &clock{subject: "framepipe." + s.Receiver + ".clock"}
			b.clocks[s.Receiver] = t.clock
		}
		b.cfg.Log.Info("camera on the bus", "camera", key, "as", feed.Name())
	}
	t.tell(s)
	t.gone = !s.Connected
	if begins {
		return t
	}
	return nil
}

// tell hands a state to the taker; a newer one replaces one that waits.
func (t *taker) tell(s state) {
	select {
	case <-t.states:
	default:
	}
	t.states <- s
}

// quiet notices receivers that say nothing any more.
func (b *Bus) quiet(now time.Time) {
	for _, t := range b.takers {
		if t.relay != nil && !t.gone && now.Sub(t.heard) > lost {
			t.gone = true
			t.tell(state{Cause: "nothing is heard of its receiver on the bus"})
		}
	}
}

// take delivers a camera's frames until ctx ends.
func (b *Bus) take(ctx context.Context, nc *nats.Conn, t *taker) {
	defer t.relay.End("this receiver ended")
	t.subscribe(nc, 0)
	defer t.subscribe(nc, layers)
	was := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.stop:
			return
		case s := <-t.states:
			switch {
			case s.Connected:
				t.relay.SetState(s.State, "")
			case was:
				t.relay.End(s.Cause)
			}
			was = s.Connected
		case m := <-t.frames:
			f, h, err := t.parts.add(m.Data)
			if err != nil {
				b.cfg.Log.Debug("bus", "camera", t.key, "cause", err)
			}
			if f != nil {
				t.deliver(f, h)
				t.adjust(b, nc, h)
			}
		}
	}
}

func (t *taker) deliver(f *frame.Frame, h *head) {
	var lost uint64
	switch {
	case h.session != t.session:
		if t.session != 0 {
			t.relay.Session()
		}
		t.session = h.session
	case h.number <= t.number: // a straggler
		f.Release()
		return
	default:
		lost = h.number - t.number - 1
	}
	t.number = h.number
	f.FirstByte = frame.ReceiverNow()
	f.LastByte = f.FirstByte
	t.relay.Put(f, h.stamped, compose(h.clock, t.clock.at(f.LastByte)), lost)
}

// adjust takes fewer frames when they come late, and more when they do not.
func (t *taker) adjust(b *Bus, nc *nats.Conn, h *head) {
	o := t.clock.at(frame.ReceiverNow())
	if !o.Known {
		return
	}
	now := time.Now()
	lag := frame.ReceiverNow().Sub(o.ToReceiver(h.delivered)) - o.Error
	if lag < lagging {
		t.late = time.Time{}
		if t.good.IsZero() {
			t.good = now
		}
		if t.level > 0 && now.Sub(t.good) > recovery {
			t.subscribe(nc, t.level-1)
			t.good = now
		}
		return
	}
	t.good = time.Time{}
	if t.late.IsZero() {
		t.late = now
	}
	switch {
	case now.Sub(t.late) < patience:
	case t.level < layers-1:
		t.subscribe(nc, t.level+1)
		t.late = now
		b.cfg.Log.Info("the bus is slow, taking fewer frames", "camera", t.key, "late", lag.Round(time.Millisecond), "part", "1/"+strconv.Itoa(1<<t.level))
	case lag > hopeless && now.Sub(t.renewed) > recovery:
		t.renewed = now
		b.cfg.Log.Warn("the bus is too slow, beginning anew", "camera", t.key, "late", lag.Round(time.Millisecond))
		_ = nc.ForceReconnect() // what waits for us at the server is forgotten
	}
}

// subscribe takes the layers from level up.
func (t *taker) subscribe(nc *nats.Conn, level int) {
	t.level = level
	for l := range layers {
		switch {
		case l >= level && t.subs[l] == nil:
			t.subs[l], _ = nc.ChanSubscribe(t.prefix+strconv.Itoa(l), t.frames)
		case l < level && t.subs[l] != nil:
			_ = t.subs[l].Unsubscribe()
			t.subs[l] = nil
		}
	}
}

// clock relates another receiver's clock to ours.
type clock struct {
	subject string

	mu    sync.Mutex
	est   clocksync.Estimator
	asked time.Time // guarded by mu
	times int       // guarded by mu
}

func (c *clock) at(t frame.ReceiverTime) clocksync.Offset { return c.est.At(t) }

// due reports whether to ask: often at first, then each two seconds.
func (c *clock) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times > 8 && now.Sub(c.asked) < 2*time.Second {
		return false
	}
	c.times++
	c.asked = now
	return true
}

func (c *clock) ask(nc *nats.Conn) {
	t1 := frame.ReceiverNow()
	m, err := nc.Request(c.subject, binary.LittleEndian.AppendUint64(nil, uint64(t1)), time.Second)
	t4 := frame.ReceiverNow()
	if err != nil || len(m.Data) != 24 {
		return
	}
	le := binary.LittleEndian
	if frame.ReceiverTime(le.Uint64(m.Data)) == t1 {
		c.est.Add(clocksync.Sample{T1: t1, T2: frame.SenderTime(le.Uint64(m.Data[8:])), T3: frame.SenderTime(le.Uint64(m.Data[16:])), T4: t4})
	}
}

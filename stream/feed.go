package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/measure"
	"framepipe/wire"
)

// Feed is one camera at the receiver: where its frames come out (Hub), how it
// fares (Meter), and what is known about it. It outlives the camera's
// connections.
type Feed struct {
	Hub   Hub
	Meter *measure.Meter

	name     string
	frameLog *measure.FrameLog
	tap      atomic.Pointer[Tap]

	mu       sync.Mutex
	conn     *feedConn // guarded by mu, as all below; nil while not connected
	v0       bool
	local    bool
	remote   string
	software string
	host     string
	cipher   string // "" = in the clear
	session  uint64
	lastSeq  uint64
	received uint64
	clock    *clocksync.Estimator
	state    wire.StateText
	since    time.Time // connected, or gone, since
	gone     string    // why it is not connected
	breaks   uint64    // connections that ended without another taking over
	strange  uint64    // frames of a v0 stream that are neither JPEG nor a raw picture of the expected size
	nextID   uint32
	waiting  map[uint32]chan wire.StateText
	control  func(context.Context, wire.Settings) wire.StateText // of a local camera
	relay    *Relay                                              // it comes from another receiver; local is set too

	recordMu sync.Mutex // apart from mu: records are closed while the meter is locked
	records  []*measure.Record
}

// KeptRecords is how many records a feed remembers, those of earlier runs among
// them: an hour of the origin's.
const KeptRecords = 360

func (f *Feed) keep(r *measure.Record) {
	f.recordMu.Lock()
	defer f.recordMu.Unlock()
	if len(f.records) >= KeptRecords {
		f.records = append(f.records[:0], f.records[1:]...)
	}
	f.records = append(f.records, r)
}

// Records lists the newest records, oldest first; those of an earlier run have
// another Run. They must not be changed.
func (f *Feed) Records() []*measure.Record {
	f.recordMu.Lock()
	defer f.recordMu.Unlock()
	return slices.Clone(f.records)
}

// newFeed makes a feed with its meter and lists it; the caller holds r.mu.
func (r *Receiver) newFeed(name string) *Feed {
	f := &Feed{name: name, frameLog: r.cfg.FrameLog, clock: new(clocksync.Estimator), waiting: make(map[uint32]chan wire.StateText), since: time.Now()}
	if r.cfg.Earlier != nil {
		f.records = r.cfg.Earlier(name)
		f.records = f.records[max(0, len(f.records)-KeptRecords):]
	}
	run := sessionText(rand.Uint64()) // a camera that had to make room and comes back begins anew, too
	f.Meter = measure.NewMeter(measure.Config{Camera: name, Run: run, RecordLength: r.cfg.RecordLength, Records: r.cfg.Records, Closed: func(rec *measure.Record) {
		rec.Began = time.Now().Add(rec.Start.Sub(frame.ReceiverNow())).UTC().Round(time.Millisecond)
		f.keep(rec)
		if r.cfg.Recorded != nil {
			r.cfg.Recorded(rec)
		}
	}})
	r.feeds = append(r.feeds, f)
	return f
}

// Name is the camera's name: made of letters, digits, dots, dashes and
// underscores, unique at this receiver.
func (f *Feed) Name() string { return f.name }

// deliver hands a complete frame to everybody. It owns nothing: the caller
// releases its reference afterwards.
func (f *Feed) deliver(fr *frame.Frame, stamped bool, clock *clocksync.Estimator) {
	fr.Delivered = frame.ReceiverNow()
	f.Hub.Publish(fr)
	var o clocksync.Offset
	switch {
	case clock != nil:
		o = clock.At(fr.LastByte)
	case stamped:
		o = clocksync.Same()
	}
	f.measured(fr, stamped, o)
}

// Session is the life of the sender that is connected, 0 where it has none to tell.
func (f *Feed) Session() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.session
}

// Clock relates the camera's clock to this machine's.
func (f *Feed) Clock() clocksync.Offset {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.relay != nil {
		return f.relay.clock
	}
	if f.local {
		return clocksync.Same()
	}
	return f.clock.At(frame.ReceiverNow())
}

// Status describes a feed for people and programs.
type Status struct {
	Name       string         `json:"name"`
	Connected  bool           `json:"connected"`
	Since      time.Time      `json:"since"`           // connected, or gone, since
	Cause      string         `json:"cause,omitempty"` // why it is not connected
	Breaks     uint64         `json:"disconnects"`     // how often it was gone since it was first met
	Remote     string         `json:"remote,omitempty"`
	Wire       string         `json:"wire"`             // v0, v1, local, bus
	Cipher     string         `json:"cipher,omitempty"` // of TLS, as the standards call it; none = in the clear
	Software   string         `json:"software,omitempty"`
	Host       string         `json:"host,omitempty"`
	Session    string         `json:"session,omitempty"`
	Viewers    int            `json:"viewers"`
	Camera     wire.StateText `json:"state"`
	Clock      *ClockStatus   `json:"clock,omitempty"`
	Unreadable uint64         `json:"unreadable_frames,omitempty"` // v0 frames that are neither JPEG nor raw of the expected size
	Live       measure.Live   `json:"live"`
}

// ClockStatus is what is known about the relation of the two clocks.
type ClockStatus struct {
	OffsetMs float64  `json:"offset_ms"` // camera's monotonic clock minus this machine's
	ErrorMs  float64  `json:"error_ms"`  // the true offset is within offset ± error
	RTTMs    float64  `json:"rtt_ms"`    // of the last exchange
	DriftPPM *float64 `json:"drift_ppm,omitempty"`
	Samples  int      `json:"samples"`
}

// Status returns a snapshot.
func (f *Feed) Status() Status {
	now := frame.ReceiverNow()
	live := f.Meter.Live(now)
	s := f.brief(now)
	s.Live = live
	return s
}

// Brief is Status without Live, whose percentiles hold up the frames for some
// tens of microseconds.
func (f *Feed) Brief() Status { return f.brief(frame.ReceiverNow()) }

func (f *Feed) brief(now frame.ReceiverTime) Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Status{
		Name: f.name, Connected: f.conn != nil || f.local && f.gone == "", Since: f.since, Cause: f.gone, Breaks: f.breaks, Remote: f.remote,
		Software: f.software, Host: f.host, Viewers: f.Hub.Viewers(), Camera: f.state, Wire: "v1", Unreadable: f.strange,
	}
	switch {
	case f.relay != nil:
		s.Wire = "bus"
		if o := f.relay.clock; o.Known {
			s.Clock = &ClockStatus{OffsetMs: float64(o.Offset) / 1e6, ErrorMs: float64(o.Error) / 1e6}
		}
	case f.local:
		s.Wire = "local"
	case f.v0:
		s.Wire = "v0"
	default:
		s.Session, s.Cipher = sessionText(f.session), f.cipher
		if o := f.clock.At(now); o.Known {
			st := f.clock.Stats()
			s.Clock = &ClockStatus{OffsetMs: float64(o.Offset) / 1e6, ErrorMs: float64(o.Error) / 1e6, RTTMs: float64(st.RTT) / 1e6, Samples: st.Samples}
			if st.RateKnow {
				ppm := st.Rate * 1e6
				s.Clock.DriftPPM = &ppm
			}
		}
	}
	return s
}

// Heard is when the camera's connection last brought a whole message, 0 if there is
// none that would tell: no v1 connection.
func (f *Feed) Heard() frame.ReceiverTime {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil || f.v0 {
		return 0
	}
	return frame.ReceiverTime(f.conn.heard.Load())
}

func sessionText(n uint64) string { return fmt.Sprintf("%016x", n) }

// ErrNotConnected says that a camera cannot be asked for anything now.
var ErrNotConnected = errors.New("the camera is not connected")

// Control asks the camera to change settings and returns what it says it really
// does then. A refused change is a StateText with Error, not an error.
func (f *Feed) Control(ctx context.Context, set wire.Settings) (wire.StateText, error) {
	f.mu.Lock()
	if local := f.control; local != nil {
		f.mu.Unlock()
		return local(ctx, set), nil
	}
	c := f.conn
	if c == nil || f.v0 {
		v0 := f.v0
		f.mu.Unlock()
		if v0 {
			return wire.StateText{}, errors.New("a v0 camera takes no settings: the format has no way back")
		}
		return wire.StateText{}, ErrNotConnected
	}
	f.mu.Unlock()
	select { // what is said before the welcome is not heard
	case <-c.welcomed:
	case <-c.done:
		return wire.StateText{}, ErrNotConnected
	case <-ctx.Done():
		return wire.StateText{}, fmt.Errorf("the camera is still connecting: %w", ctx.Err())
	}
	f.mu.Lock()
	f.nextID++
	id := f.nextID
	answer := make(chan wire.StateText, 1)
	f.waiting[id] = answer
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.waiting, id)
		f.mu.Unlock()
	}()
	text := mustJSON(set)
	if err := c.send(append(wire.AppendControl(nil, id, len(text)), text...)); err != nil {
		return wire.StateText{}, fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
	select {
	case st := <-answer:
		return st, nil
	case <-c.done:
		return wire.StateText{}, ErrNotConnected
	case <-ctx.Done():
		return wire.StateText{}, fmt.Errorf("the camera did not answer: %w", ctx.Err())
	}
}

// stateArrived takes a state message.
func (f *Feed) stateArrived(id uint32, text []byte) error {
	var st wire.StateText
	if err := json.Unmarshal(text, &st); err != nil {
		return fmt.Errorf("state is not valid JSON: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.state
	f.state = st
	if id != 0 && st.Error != "" { // why the change was refused, which says nothing about the camera
		f.state.Error, f.state.Hint = was.Error, was.Hint
	}
	if ch := f.waiting[id]; ch != nil {
		select {
		case ch <- st:
		default: // a peer that answers twice
		}
	}
	return nil
}

// detach marks the feed as not connected, if c is still its connection.
func (f *Feed) detach(c *feedConn, cause string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == c {
		f.conn, f.gone, f.since = nil, cause, time.Now()
		f.breaks++
	}
}

// SafeName makes a name from a peer fit for addresses, files, logs and HTML.
func SafeName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, s[:min(len(s), 200)])
	s = strings.Trim(s, "-.")
	if s = s[:min(len(s), 48)]; s == "" {
		return "camera"
	}
	return s
}

package measure

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
)

// DefaultRecordLength is the origin's.
const DefaultRecordLength = 10 * time.Second

// Config is how a Meter measures. The zero value is the origin's way.
type Config struct {
	Camera       string
	Run          string        // of its records
	RecordLength time.Duration // 0 = DefaultRecordLength
	Records      int           // stop opening records after so many; 0 = never
	// Closed is told each record when it is closed, in order, on the goroutine
	// that closed it. It must not call the Meter.
	Closed func(*Record)
}

// Meter measures one camera's stream. Frame is on the frame path: it takes a
// mutex that is held for a few hundred nanoseconds at a time, allocates nothing
// (closing a record does) and waits for nobody.
type Meter struct {
	cfg Config

	mu        sync.Mutex
	book      book
	age       ageSampler
	freeze    freezes
	jitter    jitter
	open      bool               // a record is open
	done      bool               // the last record was closed
	start     frame.ReceiverTime // of the open record
	number    int                // of the open record, or the last one
	completed int                // records closed on their deadline
	frames    int64
	bytes     int64
	clock     time.Duration // worst clock error within the record
	clocked   bool
	atStart   Ledger
	stages    [NumStages]dist // of the open record
	ages      dist

	total    tally
	lastMeta frame.Meta
	lastSize int
	live     rate
	history  history
}

// tally covers the whole run.
type tally struct {
	frames, bytes int64
	first, last   frame.ReceiverTime
	latency, age  dist
	freezes       int
	stages        [NumStages]Delays
	swallowed     uint64 // see Totals
}

// rate is a frame rate over the last second or so, for people.
type rate struct {
	at     frame.ReceiverTime
	frames int
	bytes  int
	fps    float64
	mbit   float64
}

// NewMeter returns a meter that waits for its first frame.
func NewMeter(cfg Config) *Meter {
	cfg.RecordLength = cmp.Or(cfg.RecordLength, DefaultRecordLength)
	m := &Meter{cfg: cfg, ages: newDist(3)}
	for i := range m.stages {
		m.stages[i] = newDist(2)
	}
	m.stages[StageTotal] = newDist(3)
	m.total.latency, m.total.age = newDist(3), newDist(3)
	return m
}

// Frame measures a delivered frame of size bytes. stamped says whether the
// stream carries stamps and counters (v1); o relates the clocks at its arrival.
func (m *Meter) Frame(f *frame.Meta, size int, stamped bool, o clocksync.Offset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := f.LastByte
	m.tick(now)
	second := m.history.roll(now, &m.book)
	if !m.open && !m.done {
		m.begin(now)
	}
	if stamped {
		m.book.frame(&f.Counts, true)
	} else {
		m.book.plain(true)
	}
	m.settle()
	m.lastMeta, m.lastSize = *f, size
	m.total.frames++
	m.total.bytes += int64(size)
	m.total.last = now
	if m.total.first == 0 {
		m.total.first = now
	}
	m.live.frame(now, size)
	m.frames++
	m.bytes += int64(size)
	was := m.freeze.count
	m.freeze.frame(now)
	m.total.freezes += m.freeze.count - was
	second.Frames++
	second.Bytes += int64(size)
	d := stageDelays(f, o)
	for s := range d.of {
		if d.known[s] {
			m.stages[s].add(d.of[s])
			second.Stages[s].add(d.of[s])
			m.total.stages[s].add(d.of[s])
		}
	}
	if f.Captured == 0 {
		return
	}
	m.jitter.frame(f.Captured, now)
	if o.Known {
		m.clocked = true
		m.clock = max(m.clock, o.ErrorAt(f.Captured))
		m.total.latency.add(d.of[StageTotal])
		m.advanceAge(f.Delivered)
		m.age.frame(&m.ages, o.ToReceiver(f.Captured), f.Delivered)
	}
}

// Refused books a frame that arrived whole and was not delivered.
func (m *Meter) Refused(c *frame.Counts, stamped bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stamped {
		m.book.frame(c, false)
	} else {
		m.book.plain(false)
	}
	m.settle()
}

// Bus books frames that another receiver had and that did not reach this one. It
// is told before the frame behind them.
func (m *Meter) Bus(n uint64, stamped bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !stamped { // the camera's counters do not tell of them
		m.book.last.Offered += n
		m.book.last.Sent += n
	}
	m.book.bus += n
}

// Counts books counters that came without a frame.
func (m *Meter) Counts(c *frame.Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.book.counts(c)
}

// Session begins a new life of the sender: its counters start anew, and what it
// had counted before (nil: not known) happened before this receiver met it.
func (m *Meter) Session(before *frame.Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	m.book.session(before)
	m.jitter.stop()
}

// End says that the camera ended in order: the open record is closed as
// unfinished, and no frames are to be expected until the next one comes. Without
// it, silence is a freeze, the age grows, and the record stays open until its
// deadline.
func (m *Meter) End(now frame.ReceiverTime) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tick(now)
	m.advanceAge(now)
	if m.open && now > m.start {
		m.close(now, false)
	}
	m.open = false
	m.age.stop()
	m.freeze.stop()
	m.jitter.stop()
}

// Tick closes the open record if its time is over, and reports whether one is
// open then. Frame does the same, so Tick is only needed while no frames come: no
// record, and none that is begun meanwhile, is over before again.
func (m *Meter) Tick(now frame.ReceiverTime) (again frame.ReceiverTime, open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tick(now)
	again = now
	if m.open {
		again = m.start
	}
	return again + frame.ReceiverTime(m.cfg.RecordLength), m.open
}

// Finish is End for good: no record is opened any more.
func (m *Meter) Finish(now frame.ReceiverTime) {
	m.End(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = true
}

// Done reports whether the last record was closed.
func (m *Meter) Done() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done
}

func (m *Meter) begin(now frame.ReceiverTime) {
	m.open, m.start = true, now
	m.number++
	m.frames, m.bytes, m.clock, m.clocked = 0, 0, 0, false
	m.atStart = m.book.ledger()
	m.freeze.newRecord()
	m.ages.reset()
	for i := range m.stages {
		m.stages[i].reset()
	}
}

// tick closes records up to now. A record begins where the one before ended, so
// none of the time goes missing; but after a silence of more than a record the
// next one begins with the next frame.
func (m *Meter) tick(now frame.ReceiverTime) {
	if !m.open {
		return
	}
	deadline := m.start + frame.ReceiverTime(m.cfg.RecordLength)
	if now < deadline {
		return
	}
	m.close(deadline, true)
	m.open = false
	m.completed++
	if m.cfg.Records > 0 && m.completed >= m.cfg.Records {
		m.done = true
		return
	}
	if now < deadline+frame.ReceiverTime(m.cfg.RecordLength) && m.frames > 0 {
		m.begin(deadline)
	}
}

func (m *Meter) advanceAge(now frame.ReceiverTime) {
	if m.age.captured == 0 {
		return
	}
	before := m.age
	m.age.advance(&m.ages, now)
	before.advance(&m.total.age, now)
}

func (m *Meter) close(at frame.ReceiverTime, complete bool) {
	m.advanceAge(at)
	r := m.record(at)
	r.Complete = complete
	if m.cfg.Closed != nil {
		m.cfg.Closed(r)
	}
}

// record describes the open record as of now.
func (m *Meter) record(now frame.ReceiverTime) *Record {
	d := now.Sub(m.start)
	l := m.book.ledger().Minus(m.atStart)
	r := &Record{
		Camera: m.cfg.Camera, Run: m.cfg.Run, Start: m.start, Number: m.number, Frames: m.frames, Elapsed: seconds(d), Bytes: m.bytes,
		Latency: m.stages[StageTotal].quantiles(), Age: m.ages.quantiles(),
		Freezes: m.freeze.count, FrozenFor: seconds(m.freeze.total), LongestGap: millis(m.freeze.longest),
		Offered: l.Offered, Delivered: l.Delivered, Lost: l.ByCause(), Imbalance: l.Imbalance(),
	}
	if d > 0 {
		r.FPS = float64(m.frames) / d.Seconds()
	}
	if m.frames > 0 {
		r.MeanSize = float64(m.bytes) / float64(m.frames)
	}
	if m.clocked {
		e := millis(m.clock)
		r.ClockError = &e
	}
	if m.jitter.have {
		j := m.jitter.j / 1e6
		r.Jitter = &j
	}
	r.Stages = make(map[string]*Quantiles)
	for s := range NumStages {
		if q := m.stages[s].quantiles(); q != nil && s != StageTotal {
			r.Stages[s.String()] = q
		}
	}
	return r
}

func (r *rate) frame(now frame.ReceiverTime, size int) {
	if r.at == 0 {
		r.at = now
		return
	}
	r.frames++
	r.bytes += size
	if d := now.Sub(r.at); d >= time.Second {
		r.fps = float64(r.frames) / d.Seconds()
		r.mbit = float64(r.bytes) * 8 / 1e6 / d.Seconds()
		r.at, r.frames, r.bytes = now, 0, 0
	}
}

// Live is the state of a stream at one moment.
type Live struct {
	Camera    string            `json:"camera"`
	Frames    int64             `json:"frames"` // delivered since the receiver first met this camera
	Bytes     int64             `json:"bytes"`
	FPS       float64           `json:"fps"`                     // over the last second or so; 0 when nothing came
	Mbit      float64           `json:"mbit_per_s"`              // over the same time
	Age       *float64          `json:"age_ms,omitempty"`        // of the newest frame
	Run       string            `json:"run,omitempty"`           // of its records
	Record    *Record           `json:"record,omitempty"`        // the open one
	Latency   *Quantiles        `json:"total_latency,omitempty"` // over the whole run
	AgeTotal  *Quantiles        `json:"total_age,omitempty"`     // over the whole run
	Freezes   int               `json:"total_freezes"`           // over the whole run
	Offered   uint64            `json:"total_offered"`           // over the whole run, as the next three
	Delivered uint64            `json:"total_delivered"`
	Lost      map[string]uint64 `json:"total_lost"`
	Imbalance int64             `json:"total_imbalance"`
	Before    uint64            `json:"offered_before"` // what the camera had accounted for when it was first met; not part of the totals
	Seq       uint64            `json:"seq"`            // of the newest frame
	Format    string            `json:"format"`
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	FrameSize int               `json:"frame_bytes"`
}

// Live describes the stream now.
func (m *Meter) Live(now frame.ReceiverTime) Live {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tick(now)
	m.advanceAge(now)
	l := m.book.ledger()
	v := Live{
		Camera: m.cfg.Camera, Run: m.cfg.Run, Frames: m.total.frames, Bytes: m.total.bytes, FPS: m.live.fps, Mbit: m.live.mbit,
		Latency: m.total.latency.quantiles(), AgeTotal: m.total.age.quantiles(), Freezes: m.total.freezes,
		Offered: l.Offered, Delivered: l.Delivered, Lost: l.ByCause(), Imbalance: l.Imbalance(), Before: m.book.before,
		Seq: m.lastMeta.Seq, Format: m.lastMeta.Format.Word(), Width: m.lastMeta.Width, Height: m.lastMeta.Height, FrameSize: m.lastSize,
	}
	if m.total.last == 0 || now.Sub(m.total.last) > 2*time.Second {
		v.FPS, v.Mbit = 0, 0
	}
	if m.age.captured != 0 {
		a := millis(now.Sub(m.age.captured))
		v.Age = &a
	}
	if m.open {
		v.Record = m.record(now)
	}
	return v
}

// Newest is when the newest delivered frame had arrived; 0 = none has.
func (m *Meter) Newest() frame.ReceiverTime {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total.last
}

// Ledger is the account of the whole run.
func (m *Meter) Ledger() Ledger {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.book.ledger()
}

// causes writes losses by cause for people, largest first.
func causes(lost map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(lost), func(a, b string) int {
		return cmp.Or(cmp.Compare(lost[b], lost[a]), cmp.Compare(a, b))
	})
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strings.ReplaceAll(n, "_", " "))
		b.WriteByte(' ')
		b.WriteString(strconv.FormatUint(lost[n], 10))
	}
	return b.String()
}

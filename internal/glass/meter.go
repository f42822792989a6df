package glass

import (
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
)

const (
	keptShown   = 4096 // refreshes of the screen: over a minute at 60 Hz
	keptSamples = 20_000
	keptPending = 64
	oldest      = 10 * time.Second // a number that was shown longer ago is a misread one
	spread      = 4                // numbers that one picture may show at once
)

// Meter turns what the screen showed and what the camera saw into delays. Its
// methods are safe for concurrent use.
type Meter struct {
	mu      sync.Mutex
	screen  clocksync.Estimator // the page's clock against ours
	shown   [keptShown]refresh  // guarded by mu, as all below
	newest  uint16
	any     bool
	every   time.Duration // between refreshes, smoothed
	pending []seen
	glass   []float64 // ms
	half    []float64 // ms; half of how long the number was on the screen
	synced  []float64 // ms, of the same frames
	bound   float64   // ms, worst of the synced
	causes  map[string]int
	frames  int
	last    error
	reading Reading // the newest that was readable
	moire   int
}

type refresh struct {
	n  uint16
	at frame.SenderTime // of the page's clock; 0 = none
}

// seen is a frame whose numbers may not have been told yet.
type seen struct {
	numbers   []uint16
	delivered frame.ReceiverTime
	synced    time.Duration // captured to delivered, by the clocks; < 0 = unknown
	bound     time.Duration
}

// NewMeter returns an empty one.
func NewMeter() *Meter { return &Meter{causes: make(map[string]int)} }

// Exchange takes an exchange with the page's clock.
func (m *Meter) Exchange(s clocksync.Sample) { m.screen.Add(s) }

// Shown takes when the page showed numbers: first, first+1 and so on, on its clock.
func (m *Meter) Shown(first uint16, at []frame.SenderTime) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, t := range at {
		n := first + uint16(i)
		if m.any && n == m.newest+1 {
			if last := m.shown[m.newest%keptShown].at; last != 0 && t > last {
				d := t.Sub(last)
				if m.every == 0 {
					m.every = d
				}
				m.every += (d - m.every) / 32
			}
		}
		m.shown[n%keptShown] = refresh{n, t}
		m.newest, m.any = n, true
	}
	m.settle()
}

// Frame takes what a frame of the camera says: a reading, or why there is none.
// Synced is its delay from capture to delivery by the clocks, negative if unknown.
func (m *Meter) Frame(r Reading, err error, delivered frame.ReceiverTime, synced, bound time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frames++
	m.last = err
	if err != nil {
		m.causes[err.Error()]++
		return
	}
	m.reading = r
	if r.Noise > .15 {
		m.moire++
	}
	numbers := r.Numbers()
	if len(numbers) == 0 {
		m.last = errMixed
		m.causes[errMixed.Error()]++
		return
	}
	if len(m.pending) == keptPending {
		m.pending = slices.Delete(m.pending, 0, 1)
		m.causes[errStrange.Error()]++
	}
	m.pending = append(m.pending, seen{numbers, delivered, synced, bound})
	m.settle()
}

var (
	errMixed   = errors.New("several refreshes in one picture")
	errStrange = errors.New("not a number that was shown")
)

// settle measures the frames whose numbers are known by now; the caller holds mu.
func (m *Meter) settle() {
	o := m.screen.At(frame.ReceiverNow())
	if !o.Known || !m.any || m.every == 0 {
		return
	}
	told := o.ToReceiver(m.shown[m.newest%keptShown].at)
	m.pending = slices.DeleteFunc(m.pending, func(s seen) bool {
		if s.delivered > told { // its number may be one that we have not been told of
			return false
		}
		start, end, ok := m.interval(o, &s)
		if !ok {
			m.causes[errStrange.Error()]++
			return true
		}
		if len(m.glass) == keptSamples {
			m.glass, m.half = slices.Delete(m.glass, 0, 1), slices.Delete(m.half, 0, 1)
		}
		millis := func(d time.Duration) float64 { return float64(d) / 1e6 }
		m.glass = append(m.glass, millis(s.delivered.Sub(start)+s.delivered.Sub(end))/2)
		m.half = append(m.half, millis(end.Sub(start))/2)
		if s.synced >= 0 {
			if len(m.synced) == keptSamples {
				m.synced = slices.Delete(m.synced, 0, 1)
			}
			m.synced = append(m.synced, millis(s.synced))
			m.bound = max(m.bound, millis(s.bound))
		}
		return true
	})
}

// interval is when the numbers that a frame shows were on the screen: those of them
// that were shown within the last seconds, which must follow each other closely.
func (m *Meter) interval(o clocksync.Offset, s *seen) (start, end frame.ReceiverTime, ok bool) {
	var low, high uint16
	for _, n := range s.numbers {
		e := m.shown[n%keptShown]
		if e.at == 0 || e.n != n {
			continue
		}
		at := o.ToReceiver(e.at)
		if at > s.delivered || s.delivered.Sub(at) > oldest {
			continue
		}
		if !ok {
			low, high, ok = n, n, true
			continue
		}
		if int16(n-low) < 0 {
			low = n
		}
		if int16(n-high) > 0 {
			high = n
		}
	}
	if !ok || high-low > spread {
		return 0, 0, false
	}
	start = o.ToReceiver(m.shown[low%keptShown].at)
	end = o.ToReceiver(m.shown[high%keptShown].at) + frame.ReceiverTime(m.every)
	if e := m.shown[(high+1)%keptShown]; e.at != 0 && e.n == high+1 {
		end = o.ToReceiver(e.at)
	}
	return start, min(end, s.delivered), end > start
}

// State is what was measured, in milliseconds.
type State struct {
	Camera  string  `json:"camera"`
	Frames  int     `json:"frames"` // of the camera, while the code was shown
	Read    int     `json:"read"`   // of them, measured
	P50     float64 `json:"p50_ms"` // the screen's page painted → frame delivered
	P90     float64 `json:"p90_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	Bound   float64 `json:"uncertainty_ms"`   // of one reading: half of how long a number was shown, and the page's clock
	Refresh float64 `json:"refresh_ms"`       // of the screen
	Clock   float64 `json:"clock_error_ms"`   // bound of the page's clock against the receiver's
	Synced  *Synced `json:"synced,omitempty"` // of the same frames, by the clocks

	Unread map[string]int `json:"unread,omitempty"` // frames that could not be read, by cause
	Now    string         `json:"now,omitempty"`    // why the newest frame could not be read
	Hint   string         `json:"hint,omitempty"`
	Note   string         `json:"note,omitempty"` // what is worth knowing though all is read
	Seen   *Reading       `json:"seen,omitempty"` // where in the picture the code was last
}

// Synced is captured → delivered by the clock-synchronised stamps.
type Synced struct {
	P50        float64 `json:"p50_ms"`
	Bound      float64 `json:"clock_error_ms"`
	Difference float64 `json:"difference_ms"` // of the medians: glass minus synced
	Agrees     bool    `json:"agrees"`
	Why        string  `json:"why"`
}

// State tells what was measured so far.
func (m *Meter) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{Frames: m.frames, Read: len(m.glass), Refresh: float64(m.every) / 1e6, Unread: make(map[string]int, len(m.causes))}
	for k, v := range m.causes {
		s.Unread[k] = v
	}
	if o := m.screen.At(frame.ReceiverNow()); o.Known {
		s.Clock = float64(o.Error) / 1e6
	}
	if m.reading.Contrast > 0 {
		r := m.reading
		s.Seen = &r
	}
	if m.last != nil {
		s.Now, s.Hint = m.last.Error(), hint(m.last)
	}
	switch {
	case m.reading.Mirrored:
		s.Note = "the picture is mirrored (it is read all the same): --hflip turns it"
	case m.moire > m.frames/4 && m.frames > 20:
		s.Note = "there is a pattern within the code's cells (moiré): go a little nearer or farther, or out of focus"
	}
	if s.Read == 0 {
		return s
	}
	at := sorted(m.glass)
	s.P50, s.P90, s.P99, s.Max = at(.5), at(.9), at(.99), at(1)
	s.Bound = sorted(m.half)(.5) + s.Clock
	if len(m.synced) > 0 {
		y := &Synced{P50: sorted(m.synced)(.5), Bound: m.bound}
		y.Difference = s.P50 - y.P50
		slack := y.Bound + s.Clock
		most := 4*s.Refresh + slack
		y.Agrees = y.Difference >= -slack-s.Refresh && y.Difference <= most
		switch {
		case y.Agrees:
			y.Why = "the difference is what the screen needs to show what the page has painted, and the exposure before the stamp"
		case y.Difference < 0:
			y.Why = "the frame cannot have come before it was painted: the capture stamp or the clocks' relation is wrong"
		default:
			y.Why = "more than a screen needs: the exposure is long, the camera stamps late (an HTTP camera stamps on arrival), or the screen is slow (a television outside its game mode)"
		}
		s.Synced = y
	}
	return s
}

func hint(err error) string {
	switch err {
	case ErrDark:
		return "more light on the screen: raise its brightness, or the camera's exposure or gain"
	case ErrFlat:
		return "the picture is grey: less haze, glare and exposure; is a cap on the lens?"
	case ErrNone:
		return "the code with its whole white frame must be in the picture; make the page full screen, point the camera at it, avoid reflections"
	case ErrSmall:
		return "go nearer, or choose a larger picture (-W, -H): a cell of the code needs 5 pixels"
	case errMixed:
		return "the exposure is longer than two refreshes of the screen: shorten it (--control exposure_time_absolute=50), or make the screen brighter"
	}
	return ""
}

func sorted(v []float64) func(p float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return func(p float64) float64 {
		return math.Round(1000*s[min(len(s)-1, int(p*float64(len(s))))]) / 1000
	}
}

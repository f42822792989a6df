// Package tune searches the settings that reach a frame rate and a latency on one
// camera and link, in a fraction of the time that measuring all of them takes.
//
// It is successive halving (Jamieson and Talwalkar, 2016): every setting is
// measured briefly, a fifth of those that may reach the goal is kept, the most
// wanted first, and measured twice as long, until few are left; these are
// measured at full length in the order in which they are wanted, and the first
// that reaches the goal is the answer. Two things save further time: a measurement
// ends as soon as the setting is hopeless, and a setting that costs more in every
// respect than a hopeless one (more pixels, higher quality, more frames, all else
// equal) is not measured at all. That rests on latency growing and frame rate
// falling with the load, which holds for a link; settings left out for it say so.
//
// The package knows neither cameras nor clocks: measuring is a function.
package tune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"framepipe/experiment/plan"
)

// Goal is what is to be reached.
type Goal struct {
	MinFPS     float64
	MaxLatency time.Duration // of 99 of 100 frames, capture to delivery
	Prefer     Prefer
}

// Prefer says which of the settings that reach the goal is wanted most.
type Prefer string

const (
	Quality Prefer = "quality" // highest JPEG quality first, then most pixels
	Size    Prefer = "size"    // most pixels first, then quality
	CPU     Prefer = "cpu"     // least encoding time per second
)

// Score is what was measured of a setting.
type Score struct {
	FPS     float64
	Latency float64       // ms, 99 %; NaN = unknown
	Bytes   float64       // of a frame
	Encode  float64       // ms per frame
	For     time.Duration // how long it was measured
}

// Candidate is one setting with what became of it.
type Candidate struct {
	plan.Cell
	Score
	Measured bool
	Left     string // why it was left out; "" = it was not
	Front    bool   // no other measured one is better in frame rate, latency and picture
}

// ErrImpossible is returned by a Measure for a setting that the camera cannot do.
var ErrImpossible = errors.New("the camera cannot do it")

// Config is what Search needs.
type Config struct {
	Cells  []plan.Cell
	Goal   Goal
	Length time.Duration // of a full measurement
	// Measure measures a setting for so long, or until stop, asked with what is
	// known so far, says that it is hopeless.
	Measure func(ctx context.Context, c *plan.Cell, length time.Duration, stop func(Score) bool) (Score, error)
	Said    func(string) // progress, nil = nobody listens
}

// Result is what a search found.
type Result struct {
	Candidates []Candidate
	Best       int // index into Candidates; -1 = none reaches the goal
	Nearest    int // the one that comes nearest to it, where none does; else -1
	Spent      time.Duration
}

// How long the first measurement is, and how many settings are kept.
const (
	firstPart = 16 // of the full length
	shortest  = 500 * time.Millisecond
	keepPart  = 5
	fewest    = 3
)

// Search searches.
func Search(ctx context.Context, cfg Config) (*Result, error) {
	if cfg.Said == nil {
		cfg.Said = func(string) {}
	}
	s := &search{Config: cfg, Result: &Result{Best: -1, Nearest: -1}}
	for _, c := range cfg.Cells {
		s.Candidates = append(s.Candidates, Candidate{Cell: c, Score: Score{Latency: math.NaN()}})
	}
	// The least load first, so that a hopeless one spares all above it.
	order := indices(len(s.Candidates))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.load(a), s.load(b)) })
	length := min(cfg.Length, max(cfg.Length/firstPart, shortest))
	for _, i := range order {
		if err := s.measure(ctx, i, length); err != nil {
			return nil, err
		}
	}
	alive := s.wanted(func(i int) bool { return s.Candidates[i].Left == "" && s.reaches(i, tolerance(length, cfg.Length)) })
	for len(alive) > fewest {
		length *= 2
		if length >= cfg.Length {
			break
		}
		kept := alive[:max(fewest, (len(alive)+keepPart-1)/keepPart)]
		cfg.Said(fmt.Sprintf("%d settings are left, measured for %v each", len(kept), length.Round(100*time.Millisecond)))
		for _, i := range kept {
			if err := s.measure(ctx, i, length); err != nil {
				return nil, err
			}
		}
		alive = slices.DeleteFunc(slices.Clone(alive), func(i int) bool {
			return slices.Contains(kept, i) && !s.reaches(i, tolerance(length, cfg.Length))
		})
		if slices.Equal(kept, alive[:min(len(kept), len(alive))]) { // the most wanted ones hold: enough is known
			break
		}
	}
	for _, i := range alive {
		if err := s.measure(ctx, i, cfg.Length); err != nil {
			return nil, err
		}
		if s.reaches(i, 0) {
			s.Best = i
			break
		}
	}
	if s.Best < 0 {
		s.nearest()
	}
	s.front()
	return s.Result, nil
}

type search struct {
	Config
	*Result
}

func indices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// tolerance is by how much a measurement of some length may miss the goal and
// still hope.
func tolerance(length, full time.Duration) float64 {
	return 0.05 * math.Sqrt(float64(full)/float64(length))
}

func (s *search) measure(ctx context.Context, i int, length time.Duration) error {
	c := &s.Candidates[i]
	if why := s.spared(i); why != "" && !c.Measured {
		c.Left = why
		return nil
	}
	hopeless := func(now Score) bool {
		return now.For >= length/4 && (now.FPS < 0.6*s.Goal.MinFPS || now.Latency > 2*s.Goal.MaxLatency.Seconds()*1000)
	}
	score, err := s.Measure(ctx, &c.Cell, length, func(now Score) bool {
		return hopeless(now) || now.For >= length/4 && !s.meets(now, tolerance(now.For, s.Length))
	})
	s.Spent += score.For
	switch {
	case errors.Is(err, ErrImpossible):
		c.Left = err.Error()
		return nil
	case err != nil:
		return fmt.Errorf("setting %s: %w", c.ID, err)
	}
	c.Score, c.Measured = score, true
	if score.For < length && hopeless(score) {
		c.Left = "hopeless"
	}
	s.Said(fmt.Sprintf("%s: %.1f fps, latency 99 %% %.1f ms, %.0f kB%s", c.ID, score.FPS, score.Latency, score.Bytes/1000, map[bool]string{true: " (hopeless)"}[c.Left != ""]))
	return nil
}

// spared names the hopeless setting that spares this one.
func (s *search) spared(i int) string {
	for j := range s.Candidates {
		if c := &s.Candidates[j]; c.Measured && c.Left == "hopeless" && costlier(&s.Candidates[i].Cell, &c.Cell) {
			return "costs more than " + c.ID + ", which is hopeless"
		}
	}
	return ""
}

// amounts are the settings of which more is more load.
var amounts = []string{"size", "width", "height", "quality", "fps"}

// costlier reports whether a is like b but for more load.
func costlier(a, b *plan.Cell) bool {
	more := false
	for _, x := range a.Settings {
		y, ok := b.Base(x.Name)
		switch {
		case !ok:
			return false
		case x.Value == y:
		case !slices.Contains(amounts, x.Name) || amount(x.Name, x.Value) < amount(x.Name, y):
			return false
		default:
			more = true
		}
	}
	return more
}

func amount(name, value string) float64 {
	if name == "size" {
		w, h := 0.0, 0.0
		if n, err := fmt.Sscanf(value, "%gx%g", &w, &h); n != 2 || err != nil {
			return 0
		}
		return w * h
	}
	v, _ := strconv.ParseFloat(value, 64) // checked with the plan
	return v
}

func (s *search) of(i int, name string) float64 {
	v, ok := s.Candidates[i].Base(name)
	if !ok {
		return 0
	}
	return amount(name, v)
}

func (s *search) pixels(i int) float64 {
	if v := s.of(i, "size"); v > 0 {
		return v
	}
	return s.of(i, "width") * s.of(i, "height")
}

func (s *search) load(i int) float64 {
	return (1 + s.pixels(i)) * (1 + s.of(i, "quality")) * (1 + s.of(i, "fps"))
}

// reaches reports whether a setting reaches the goal, or misses it by less than a
// tolerance.
func (s *search) reaches(i int, tolerance float64) bool {
	c := &s.Candidates[i]
	return c.Measured && c.Left == "" && s.meets(c.Score, tolerance)
}

func (s *search) meets(x Score, tolerance float64) bool {
	return x.FPS >= s.Goal.MinFPS*(1-tolerance) && !(x.Latency > s.Goal.MaxLatency.Seconds()*1000*(1+2*tolerance))
}

// wanted lists settings, the most wanted first.
func (s *search) wanted(ok func(int) bool) []int {
	list := slices.DeleteFunc(indices(len(s.Candidates)), func(i int) bool { return !ok(i) })
	slices.SortStableFunc(list, func(a, b int) int {
		quality, size := cmp.Compare(s.of(b, "quality"), s.of(a, "quality")), cmp.Compare(s.pixels(b), s.pixels(a))
		x, y := &s.Candidates[a], &s.Candidates[b]
		switch s.Goal.Prefer {
		case Size:
			return cmp.Or(size, quality, cmp.Compare(y.FPS, x.FPS))
		case CPU:
			return cmp.Or(cmp.Compare(x.Encode*x.FPS, y.Encode*y.FPS), quality)
		}
		return cmp.Or(quality, size, cmp.Compare(y.FPS, x.FPS))
	})
	return list
}

// nearest finds the setting that misses the goal by least.
func (s *search) nearest() {
	least := math.Inf(1)
	for i := range s.Candidates {
		c := &s.Candidates[i]
		if !c.Measured {
			continue
		}
		miss := max(0, 1-c.FPS/s.Goal.MinFPS)
		if limit := s.Goal.MaxLatency.Seconds() * 1000; limit > 0 && c.Latency > limit {
			miss += math.Log(c.Latency / limit)
		}
		if miss < least {
			least, s.Nearest = miss, i
		}
	}
}

// front marks the settings that no other beats in frame rate, latency and picture
// at once.
func (s *search) front() {
	picture := func(i int) float64 { return (1 + s.pixels(i)) * (1 + s.of(i, "quality")) }
	for i := range s.Candidates {
		a := &s.Candidates[i]
		a.Front = a.Measured
		for j := range s.Candidates {
			b := &s.Candidates[j]
			if i == j || !a.Measured || !b.Measured {
				continue
			}
			const same = 0.02 // within chance
			notWorse := b.FPS >= a.FPS*(1-same) && !(b.Latency > a.Latency*(1+same)) && picture(j) >= picture(i)
			better := b.FPS > a.FPS*(1+same) || b.Latency < a.Latency*(1-same) || picture(j) > picture(i)
			if notWorse && better {
				a.Front = false
			}
		}
	}
}

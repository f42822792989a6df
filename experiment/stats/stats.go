// Package stats says what the figures of an experiment are worth: centres with
// intervals, and whether two settings differ.
//
// An observation is a record or a visit's mean (plan.Unit), never a single frame:
// frames of one record share everything that drifts, and a million of them would
// make any difference look certain.
//
//   - Intervals are bootstrap percentile intervals at 95 % (Efron 1979): visits are
//     drawn with replacement, and, where the unit is the record, records within
//     them, so that what records of one visit have in common widens the interval.
//     They are drawn from a seed, so that a report can be made again.
//   - Two settings are compared by the Mann-Whitney U test, which assumes no
//     distribution (golang.org/x/perf/benchmath), with Cliff's delta as effect
//     size, and the p-values of one family of comparisons are corrected after Holm
//     (1979), which keeps the chance of any false alarm below 2 %.
//   - A difference is reported when the corrected test finds it and its interval
//     leaves out zero.
package stats

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	moremath "github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
	"gonum.org/v1/gonum/stat/combin"

	"framepipe/experiment/plan"
)

const (
	// Confidence of intervals.
	Confidence = 0.95
	// Alpha is how often a family of comparisons may be wrong when nothing differs.
	// With 5 %, every other series of a hundred experiments on the same setting
	// twice would have five false alarms or more.
	Alpha = 0.02

	resamples = 2000
)

// Sample is what was measured of one figure in one cell.
type Sample struct {
	groups []group // in order of arrival
}

type group struct {
	visit  int
	values []float64
}

// Add adds a record's figure, which was measured in the given visit.
func (s *Sample) Add(visit int, v float64) {
	i := slices.IndexFunc(s.groups, func(g group) bool { return g.visit == visit })
	if i < 0 {
		i = len(s.groups)
		s.groups = append(s.groups, group{visit: visit})
	}
	s.groups[i].values = append(s.groups[i].values, v)
}

// Records lists all values.
func (s *Sample) Records() []float64 {
	var all []float64
	for _, g := range s.groups {
		all = append(all, g.values...)
	}
	return all
}

// Visits is how many visits there were.
func (s *Sample) Visits() int { return len(s.groups) }

// Values lists one value for each observation.
func (s *Sample) Values(unit plan.Unit) []float64 {
	if unit != plan.UnitRepeat {
		return s.Records()
	}
	means := make([]float64, len(s.groups))
	for i, g := range s.groups {
		means[i] = moremath.Mean(g.values)
	}
	return means
}

// Estimate is a figure with its interval. Lo and Hi are NaN if there is only one
// observation.
type Estimate struct {
	Value, Lo, Hi float64
	N             int
}

// Mean is the mean with its interval.
func (s *Sample) Mean(unit plan.Unit, seed uint64) Estimate {
	return s.estimate(unit, seed, mean)
}

// Median is the median with its interval.
func (s *Sample) Median(unit plan.Unit, seed uint64) Estimate {
	return s.estimate(unit, seed, median)
}

func mean(v []float64) float64 { return moremath.Mean(v) }

func median(v []float64) float64 {
	slices.Sort(v)
	return moremath.Sample{Xs: v, Sorted: true}.Quantile(0.5)
}

func (s *Sample) estimate(unit plan.Unit, seed uint64, f func([]float64) float64) Estimate {
	values := s.Values(unit)
	e := Estimate{Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: len(values)}
	if e.N == 0 {
		return e
	}
	e.Value = f(slices.Clone(values))
	if e.N < 2 {
		return e
	}
	rng := newRand(seed)
	buf := make([]float64, 0, len(values))
	of := make([]float64, resamples)
	for i := range of {
		buf = s.resample(rng, unit, buf[:0])
		of[i] = f(buf)
	}
	e.Lo, e.Hi = interval(of)
	return e
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x626f6f74)) }

// resample draws as many visits as there are with replacement, and from each as
// many records as it has. With one visit, only records can be drawn.
func (s *Sample) resample(rng *rand.Rand, unit plan.Unit, to []float64) []float64 {
	for range s.groups {
		g := s.groups[rng.IntN(len(s.groups))]
		if unit == plan.UnitRepeat {
			to = append(to, moremath.Mean(g.values))
			continue
		}
		for range g.values {
			to = append(to, g.values[rng.IntN(len(g.values))])
		}
	}
	return to
}

// interval is the middle 95 %.
func interval(of []float64) (lo, hi float64) {
	slices.Sort(of)
	const tail = (1 - Confidence) / 2
	sorted := moremath.Sample{Xs: of, Sorted: true}
	return sorted.Quantile(tail), sorted.Quantile(1 - tail)
}

// Comparison is what is known about B against A.
type Comparison struct {
	Difference Estimate // of the means, B minus A
	Relative   Estimate // the same as a part of A's mean
	P          float64  // of the Mann-Whitney U test, exact for small samples
	Corrected  float64  // P after Holm, by Correct
	Effect     float64  // Cliff's delta, -1..1: how much more often a value of B is the greater one than the smaller one
	NA, NB     int
	Weak       bool // so few observations, so many comparisons: no difference however large could be found; by Correct
	Warnings   []string
}

// Seems reports whether the interval leaves out zero, but there are too few
// observations for the test to confirm it.
func (c *Comparison) Seems() bool {
	return c.Weak && !c.Differs() && (c.Difference.Lo > 0 || c.Difference.Hi < 0)
}

// Differs reports whether the two differ, as far as this sample can tell.
func (c *Comparison) Differs() bool {
	return c.Corrected < Alpha && (c.Difference.Lo > 0 || c.Difference.Hi < 0)
}

// Compare compares b with a. Correct has to be called with the whole family.
func Compare(a, b *Sample, unit plan.Unit, seed uint64) Comparison {
	va, vb := a.Values(unit), b.Values(unit)
	c := Comparison{P: 1, Corrected: 1, NA: len(va), NB: len(vb)}
	nan := Estimate{Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: min(len(va), len(vb))}
	c.Difference, c.Relative = nan, nan
	if len(va) == 0 || len(vb) == 0 {
		c.Warnings = append(c.Warnings, "one of the two was not measured")
		return c
	}
	ma, mb := mean(va), mean(vb)
	c.Difference.Value, c.Relative.Value = mb-ma, relative(ma, mb)
	if len(va) > 1 && len(vb) > 1 {
		rng := newRand(seed)
		diff, rel := make([]float64, resamples), make([]float64, resamples)
		var ba, bb []float64
		for i := range diff {
			ba, bb = a.resample(rng, unit, ba[:0]), b.resample(rng, unit, bb[:0])
			x, y := mean(ba), mean(bb)
			diff[i], rel[i] = y-x, relative(x, y)
		}
		c.Difference.Lo, c.Difference.Hi = interval(diff)
		c.Relative.Lo, c.Relative.Hi = interval(rel)
	}
	thresholds := benchmath.DefaultThresholds
	thresholds.CompareAlpha = Alpha
	sa, sb := benchmath.NewSample(slices.Clone(va), &thresholds), benchmath.NewSample(slices.Clone(vb), &thresholds)
	test := benchmath.AssumeNothing.Compare(sa, sb)
	c.P = test.P
	for _, w := range test.Warnings {
		if !errors.Is(w, moremath.ErrSamplesEqual) { // all values are the same: no difference, and nothing is wrong
			c.Warnings = append(c.Warnings, w.Error())
		}
	}
	if u, err := moremath.MannWhitneyUTest(sb.Values, sa.Values, moremath.LocationDiffers); err == nil {
		c.Effect = 2*u.U/float64(u.N1*u.N2) - 1
	}
	c.Corrected = c.P
	return c
}

func relative(a, b float64) float64 {
	if a == 0 {
		return math.NaN()
	}
	return b/a - 1
}

// Correct corrects the p-values of a family of comparisons after Holm.
func Correct(family []*Comparison) {
	order := slices.Clone(family)
	slices.SortStableFunc(order, func(a, b *Comparison) int { return cmp.Compare(a.P, b.P) })
	most := 0.0
	for i, c := range order {
		most = max(most, min(1, c.P*float64(len(order)-i)))
		c.Corrected = most
		// The smallest p that the exact test can give: all of one sample above all of the other.
		if c.NA > 0 && c.NB > 0 {
			c.Weak = 2/combin.GeneralizedBinomial(float64(c.NA+c.NB), float64(c.NA))*float64(len(order)) >= Alpha
		}
	}
}

// Drift is how much the visits' means vary beyond what their records' spread
// explains: the intraclass correlation of a one-way analysis of variance, 0 when
// records of one visit are as different as records of two. NaN if unknown.
func (s *Sample) Drift() float64 {
	k := len(s.groups)
	n := 0
	for _, g := range s.groups {
		n += len(g.values)
	}
	if k < 2 || n <= k {
		return math.NaN()
	}
	var within, between float64
	all := mean(s.Records())
	squares := 0.0
	for _, g := range s.groups {
		m := mean(g.values)
		within += moremath.Variance(g.values) * float64(len(g.values)-1) // the sum of squares
		between += float64(len(g.values)) * (m - all) * (m - all)
		squares += float64(len(g.values) * len(g.values))
	}
	msw, msb := within/float64(n-k), between/float64(k-1)
	size := (float64(n) - squares/float64(n)) / float64(k-1)
	if msb+(size-1)*msw <= 0 {
		return 0
	}
	return max(0, (msb-msw)/(msb+(size-1)*msw))
}

package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"framepipe/experiment/plan"
)

// simulate makes a setting's records: visits that differ by drift, records within
// them by noise, both as parts of the mean.
func simulate(rng *rand.Rand, mean, drift, noise float64, visits, records int) *Sample {
	s := new(Sample)
	for v := range visits {
		level := mean * (1 + drift*rng.NormFloat64())
		for range records {
			s.Add(v, level*(1+noise*rng.NormFloat64()))
		}
	}
	return s
}

// experiments simulates whole experiments of two settings and three figures, as a
// report looks at them, and counts those that report a difference in any.
func experiments(seed uint64, n int, unit plan.Unit, visits, records int, change, drift, noise float64) (found int) {
	for i := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		var family []*Comparison
		for _, mean := range []float64{28, 40, 90} {
			a := simulate(rng, mean, drift, noise, visits, records)
			b := simulate(rng, mean*(1+change), drift, noise, visits, records)
			c := Compare(a, b, unit, uint64(i))
			family = append(family, &c)
		}
		Correct(family)
		for _, c := range family {
			if c.Differs() {
				found++
				break
			}
		}
	}
	return found
}

// The same setting twice must look the same in at least 95 of 100 repetitions,
// also when visits drift, which is what the unit of analysis is for.
func TestNoDifferenceWhereThereIsNone(t *testing.T) {
	for _, tc := range []struct {
		name            string
		unit            plan.Unit
		visits, records int
		drift, noise    float64
	}{
		{"records of one machine that does not drift", plan.UnitRecord, 5, 4, 0, 0.02},
		{"a hundred records", plan.UnitRecord, 5, 20, 0, 0.02},
		{"visits that drift", plan.UnitRepeat, 10, 10, 0.02, 0.02},
		{"few visits that drift", plan.UnitRepeat, 6, 3, 0.03, 0.01},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if n := experiments(1, 100, tc.unit, tc.visits, tc.records, 0, tc.drift, tc.noise); n > 5 {
				t.Errorf("%d of 100 repetitions report a difference", n)
			}
		})
	}
}

// The counter-proof: were records of drifting visits taken for independent, the
// test above would fail, and Drift says so.
func TestRecordsOfDriftingVisitsAreNotIndependent(t *testing.T) {
	if n := experiments(1, 100, plan.UnitRecord, 6, 10, 0, 0.03, 0.005); n <= 5 {
		t.Errorf("only %d of 100: the simulation shows nothing", n)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	if d := simulate(rng, 28, 0.03, 0.005, 20, 10).Drift(); d < 0.8 {
		t.Errorf("drift of drifting visits is %.2f", d)
	}
	if d := simulate(rng, 28, 0, 0.02, 20, 10).Drift(); d > 0.1 {
		t.Errorf("drift of visits that do not is %.2f", d)
	}
}

func TestPlantedDifferenceIsFound(t *testing.T) {
	if n := experiments(2, 100, plan.UnitRepeat, 10, 10, 0.03, 0.01, 0.01); n < 95 {
		t.Errorf("3 %% is found in only %d of 100 repetitions of ten visits", n)
	}
	if n := experiments(2, 100, plan.UnitRecord, 5, 20, 0.03, 0, 0.02); n < 99 {
		t.Errorf("3 %% is found in only %d of 100 repetitions of a hundred records", n)
	}
}

// Intervals hold what they promise, within what 400 repetitions can tell.
func TestIntervalsCoverTheTruth(t *testing.T) {
	covered := 0
	const n = 400
	for i := range n {
		rng := rand.New(rand.NewPCG(3, uint64(i)))
		e := simulate(rng, 28, 0.02, 0.02, 10, 10).Mean(plan.UnitRepeat, uint64(i))
		if e.Lo <= 28 && 28 <= e.Hi {
			covered++
		}
	}
	// Percentile intervals of ten observations are known to be somewhat narrow.
	if share := float64(covered) / n; share < 0.88 || share > 0.98 {
		t.Errorf("95 %% intervals cover the truth in %.1f %%", 100*share)
	}
}

func TestCompareIsMadeAgainTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := simulate(rng, 28, 0, 0.1, 5, 5), simulate(rng, 30, 0, 0.1, 5, 5)
	x, y := Compare(a, b, plan.UnitRecord, 7), Compare(a, b, plan.UnitRecord, 7)
	if x.Difference != y.Difference || x.Relative != y.Relative || x.P != y.P {
		t.Errorf("%+v and %+v", x, y)
	}
	if back := Compare(b, a, plan.UnitRecord, 7); back.Effect != -x.Effect || back.P != x.P || math.Abs(back.Difference.Value+x.Difference.Value) > 1e-12 {
		t.Errorf("turned round: %+v and %+v", back, x)
	}
}

func TestHolm(t *testing.T) {
	// The example of Holm's procedure: 0.01, 0.02, 0.03, 0.04 become 0.04, 0.06, 0.06, 0.06.
	var family []*Comparison
	for _, p := range []float64{0.03, 0.01, 0.04, 0.02} {
		family = append(family, &Comparison{P: p, NA: 20, NB: 20})
	}
	Correct(family)
	for i, want := range []float64{0.06, 0.04, 0.06, 0.06} {
		if math.Abs(family[i].Corrected-want) > 1e-12 {
			t.Errorf("p %v becomes %v, want %v", family[i].P, family[i].Corrected, want)
		}
	}
}

func TestTooFewObservations(t *testing.T) {
	s := func(values ...float64) *Sample {
		x := new(Sample)
		for i, v := range values {
			x.Add(i, v)
		}
		return x
	}
	c := Compare(s(30, 30.1, 30.2), s(20, 20.1, 20.2), plan.UnitRecord, 1)
	Correct([]*Comparison{&c})
	if c.Differs() || !c.Seems() || !c.Weak {
		t.Errorf("three against three: %+v", c)
	}
	c = Compare(s(30), s(20), plan.UnitRecord, 1)
	Correct([]*Comparison{&c})
	if c.Differs() || c.Seems() || !math.IsNaN(c.Difference.Lo) || c.Difference.Value != -10 {
		t.Errorf("one against one: %+v", c)
	}
	c = Compare(s(), s(20), plan.UnitRecord, 1)
	if !math.IsNaN(c.Difference.Value) || len(c.Warnings) == 0 {
		t.Errorf("none against one: %+v", c)
	}
	c = Compare(s(5, 5, 5, 5, 5, 5), s(5, 5, 5, 5, 5, 5), plan.UnitRecord, 1)
	Correct([]*Comparison{&c})
	if c.Differs() || c.Effect != 0 || len(c.Warnings) != 0 {
		t.Errorf("all the same: %+v", c)
	}
	e := s(1, 2, 3, 4).Median(plan.UnitRecord, 1)
	if e.Value != 2.5 || e.Lo < 1 || e.Hi > 4 {
		t.Errorf("median %+v", e)
	}
}

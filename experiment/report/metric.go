package report

import (
	"framepipe/experiment/result"
	"framepipe/experiment/stats"
	"framepipe/measure"
)

// metric is one figure of a record.
type metric struct {
	key   string // of --fail-if and of anchors
	name  string // for people
	unit  string
	bench string // in bench.txt
	up    bool   // more is better
	head  bool   // its comparisons are part of the family that decides, and of the conclusion
	of    func(*result.Row) (float64, bool)
}

func (m *metric) better() string {
	if m.up {
		return "higher"
	}
	return "lower"
}

func quantile(q func(*result.Row) *measure.Quantiles, of func(*measure.Quantiles) float64) func(*result.Row) (float64, bool) {
	return func(r *result.Row) (float64, bool) {
		if x := q(r); x != nil {
			return of(x), true
		}
		return 0, false
	}
}

func latency(r *result.Row) *measure.Quantiles { return r.Latency }
func age(r *result.Row) *measure.Quantiles     { return r.Age }

// The figures, in the order of tables.
var metrics = []metric{
	{"fps", "frame rate", "fps", "fps", true, true, func(r *result.Row) (float64, bool) { return r.FPS, true }},
	{"latency-p50", "median latency", "ms", "latency-p50-ms", false, true, quantile(latency, func(q *measure.Quantiles) float64 { return q.P50 })},
	{"latency-p99", "99 % latency", "ms", "latency-p99-ms", false, false, quantile(latency, func(q *measure.Quantiles) float64 { return q.P99 })},
	{"age-p50", "median age of the newest frame", "ms", "age-p50-ms", false, false, quantile(age, func(q *measure.Quantiles) float64 { return q.P50 })},
	{"age-p99", "99 % age of the newest frame", "ms", "age-p99-ms", false, true, quantile(age, func(q *measure.Quantiles) float64 { return q.P99 })},
	{"frame-bytes", "frame size", "bytes", "B/frame", false, false, func(r *result.Row) (float64, bool) { return r.MeanSize, r.Frames > 0 }},
	{"lost", "frames lost", "%", "lost-%", false, false, func(r *result.Row) (float64, bool) {
		if r.Offered == 0 {
			return 0, false
		}
		return 100 * float64(r.Offered-r.Delivered) / float64(r.Offered), true
	}},
	{"jitter", "jitter", "ms", "jitter-ms", false, false, func(r *result.Row) (float64, bool) {
		if r.Jitter == nil {
			return 0, false
		}
		return *r.Jitter, true
	}},
	{"longest-gap", "longest gap", "ms", "longest-gap-ms", false, false, func(r *result.Row) (float64, bool) { return r.LongestGap, r.Frames > 1 }},
}

func metricByKey(key string) *metric {
	for i := range metrics {
		if metrics[i].key == key {
			return &metrics[i]
		}
	}
	return nil
}

// sample collects a figure of a cell's rows.
func (m *metric) sample(rows []result.Row, cell string) *stats.Sample {
	s := new(stats.Sample)
	for i := range rows {
		if rows[i].Cell != cell {
			continue
		}
		if v, ok := m.of(&rows[i]); ok {
			s.Add(rows[i].Repeat, v)
		}
	}
	return s
}

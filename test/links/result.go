package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/measure"
)

// delivered is one frame as the receiver got it.
type delivered struct {
	seq      uint64
	bytes    int
	captured time.Duration // on this machine's monotonic clock, as both ends are on it
	last     time.Duration // when its last byte was read
}

// result is what one run gave.
type result struct {
	outcome
	spec   spec
	frames []delivered // in order of delivery, the whole run's
	ledger measure.Ledger
	net    netem.Stats
}

// readFrames reads a frame log.
func readFrames(r io.Reader) ([]delivered, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("frame log: %w", err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("frame log: empty")
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	seq, size, captured, last := column("seq"), column("frame_bytes"), column("captured_s_ns"), column("last_byte_r_ns")
	if seq < 0 || size < 0 || captured < 0 || last < 0 {
		return nil, fmt.Errorf("frame log: a column is missing in %q", rows[0])
	}
	frames := make([]delivered, 0, len(rows)-1)
	for _, row := range rows[1:] {
		var v [4]int64
		for i, c := range []int{seq, size, captured, last} {
			if v[i], err = strconv.ParseInt(row[c], 10, 64); err != nil {
				return nil, fmt.Errorf("frame log: %q: %w", row, err)
			}
		}
		frames = append(frames, delivered{uint64(v[0]), int(v[1]), time.Duration(v[2]), time.Duration(v[3])})
	}
	return frames, nil
}

// value is one figure of a row.
type value struct {
	v    float64
	unit string
}

// units says of each unit which way is better, in the order of a row.
var units = [][2]string{
	{"fps", "higher"}, {"p50-ms", "lower"}, {"p95-ms", "lower"}, {"p99-ms", "lower"}, {"max-ms", "lower"},
	{"age50-ms", "lower"}, {"age99-ms", "lower"}, {"agemax-ms", "lower"}, {"kB/frame", "higher"}, {"cpu-us/frame", "lower"},
	{"rescues", "lower"}, {"dropped", "lower"}, {"lost", "lower"}, {"recover-s", "lower"}, {"late-ms", "lower"}, {"repeats", "lower"}, {"spoiled", "lower"},
}

// values are the figures of the measured part, from settle to the end. A figure
// that is not known is missing.
func (r *result) values() []value {
	from, to := time.Duration(r.Start)+settle, time.Duration(r.Start)+r.spec.duration
	var latencies []time.Duration
	sum := 0
	for _, f := range r.frames {
		if f.last >= from && f.last < to {
			latencies = append(latencies, f.last-f.captured)
			sum += f.bytes
		}
	}
	v := []value{{float64(len(latencies)) / (to - from).Seconds(), "fps"}}
	add := func(x float64, unit string) { v = append(v, value{x, unit}) }
	if n := len(latencies); n > 0 {
		slices.Sort(latencies)
		for _, q := range []struct {
			q    float64
			unit string
		}{{0.5, "p50-ms"}, {0.95, "p95-ms"}, {0.99, "p99-ms"}, {1, "max-ms"}} {
			add(millis(quantile(latencies, q.q)), q.unit)
		}
		add(float64(sum)/float64(n)/1000, "kB/frame")
		if r.CPU > 0 {
			add(float64(r.CPU.Microseconds())/float64(n), "cpu-us/frame")
		}
	}
	if a := ages(r.frames, from, to); len(a) > 0 {
		slices.Sort(a)
		add(millis(quantile(a, 0.5)), "age50-ms")
		add(millis(quantile(a, 0.99)), "age99-ms")
		add(millis(a[len(a)-1]), "agemax-ms")
	}
	if r.spec.viewer == "" {
		add(float64(r.Stats.Rescues), "rescues")
		add(float64(r.Stats.Counts.LostTotal()), "dropped")
		add(float64(r.ledger.Lost[frame.LostConnection]), "lost")
		if s, ok := r.recovered(); ok {
			add(s.Seconds(), "recover-s")
		}
	}
	add(millis(r.net.Lateness), "late-ms")
	slices.SortFunc(v, func(a, b value) int { return unitOrder(a.unit) - unitOrder(b.unit) })
	return v
}

func unitOrder(unit string) int {
	return slices.IndexFunc(units, func(u [2]string) bool { return u[0] == unit })
}

// ages samples how old the newest delivered frame is, each 2 ms. Unlike latency
// it counts what was dropped and every standstill.
func ages(frames []delivered, from, to time.Duration) []time.Duration {
	const step = 2 * time.Millisecond
	var list []time.Duration
	i := 0
	newest := time.Duration(math.MinInt64)
	for t := from; t < to; t += step {
		for i < len(frames) && frames[i].last <= t {
			newest = max(newest, frames[i].captured)
			i++
		}
		if i > 0 {
			list = append(list, t-newest)
		} else if len(frames) > 0 { // nothing was shown yet: at least as old as the first to come
			list = append(list, t-frames[0].captured)
		}
	}
	return list
}

// recovered is how long after case e's link has its rate again a frame has 80 %
// of the bytes that frames had before; false if that cannot be said.
func (r *result) recovered() (time.Duration, bool) {
	if r.spec.variant.target == 0 || r.spec.link.name != "e" {
		return 0, false
	}
	start := time.Duration(r.Start)
	var before []int
	for _, f := range r.frames {
		if f.captured >= start+settle && f.captured < start+2*time.Second {
			before = append(before, f.bytes)
		}
	}
	if len(before) == 0 {
		return 0, false
	}
	slices.Sort(before)
	want := before[len(before)/2] * 8 / 10
	for _, f := range r.frames {
		if f.last >= start+recovery && f.bytes >= want {
			return f.last - start - recovery, true
		}
	}
	return 0, false
}

// quantile is the smallest value that at least a share q of all does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// dist is a distribution of delays: an HDR histogram in microseconds, from 1 us
// to ten minutes with three significant digits, so that recording costs some
// nanoseconds and no memory whatever the number of frames.
type dist struct {
	h        *hdrhistogram.Histogram
	negative int64
}

const distMax = int64(10 * time.Minute / time.Microsecond)

func newDist(digits int) dist { return dist{h: hdrhistogram.New(1, distMax, digits)} }

// add takes one delay. A delay below zero, which an error of the clock offset
// can make of a short one, counts as zero; one above the range as its end.
func (d *dist) add(v time.Duration) {
	if v < 0 {
		d.negative++
	}
	_ = d.h.RecordValue(max(0, min(int64(v/time.Microsecond), distMax)))
}

// merge adds what o has.
func (d *dist) merge(o *dist) {
	d.h.Merge(o.h)
	d.negative += o.negative
}

func (d *dist) reset() {
	d.h.Reset()
	d.negative = 0
}

// Quantiles summarises a distribution in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
	// Negative is how many values were below zero before they were cut to it:
	// if not 0, the clock offset is less sure than these figures need.
	Negative int64 `json:"negative,omitempty"`
}

// quantiles is nil when there is nothing to summarise.
func (d *dist) quantiles() *Quantiles {
	n := d.h.TotalCount()
	if n == 0 {
		return nil
	}
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return &Quantiles{
		Count: n, Mean: d.h.Mean() / 1000, Negative: d.negative,
		P50: ms(d.h.ValueAtPercentile(50)), P90: ms(d.h.ValueAtPercentile(90)), P99: ms(d.h.ValueAtPercentile(99)),
		P999: ms(d.h.ValueAtPercentile(99.9)), Max: ms(d.h.Max()),
	}
}

package result

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"framepipe/frame"
	"framepipe/measure"
)

// Row is one record of one visit.
type Row struct {
	Cell           string
	Repeat         int
	Attempt        int       // of the visit, from 1
	Began          time.Time // wall clock, for people
	LogEnd         int64     // bytes of the visit's frame log up to and with this record; 0 = no frame log
	measure.Record           // its Number is within the visit, from 1
}

// field is one column: how it is written and read. Times are milliseconds unless
// the name says otherwise; what is not known is empty.
type field struct {
	name string
	get  func(*Row) string
	set  func(*Row, string) error
}

func integer[T int | int64 | uint64](name string, at func(*Row) *T) field {
	return field{name, func(r *Row) string { return fmt.Sprint(*at(r)) }, func(r *Row, s string) error {
		v, err := strconv.ParseInt(s, 10, 64)
		*at(r) = T(v)
		return err
	}}
}

func number(name string, at func(*Row) *float64) field {
	return field{name, func(r *Row) string { return decimal(*at(r)) }, func(r *Row, s string) (err error) {
		*at(r), err = parseDecimal(s)
		return err
	}}
}

func decimal(v float64) string { return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64) }

func parseDecimal(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = errors.New("not a finite number")
	}
	return v, err
}

func optional(name string, at func(*Row) **float64) field {
	return field{name, func(r *Row) string {
		if p := *at(r); p != nil {
			return decimal(*p)
		}
		return ""
	}, func(r *Row, s string) error {
		if s == "" {
			return nil
		}
		v, err := parseDecimal(s)
		*at(r) = &v
		return err
	}}
}

// quantile is one figure of a distribution that may be unknown.
func quantile(name string, at func(*Row, bool) *measure.Quantiles, of func(*measure.Quantiles) *float64) field {
	return field{name, func(r *Row) string {
		if q := at(r, false); q != nil {
			return decimal(*of(q))
		}
		return ""
	}, func(r *Row, s string) (err error) {
		if s == "" {
			return nil
		}
		*of(at(r, true)), err = parseDecimal(s)
		return err
	}}
}

func latency(r *Row, make bool) *measure.Quantiles { return ensure(&r.Latency, make) }
func age(r *Row, make bool) *measure.Quantiles     { return ensure(&r.Age, make) }

func stage(name string) func(*Row, bool) *measure.Quantiles {
	return func(r *Row, create bool) *measure.Quantiles {
		q := r.Stages[name]
		if q == nil && create {
			if r.Stages == nil {
				r.Stages = make(map[string]*measure.Quantiles)
			}
			q = new(measure.Quantiles)
			r.Stages[name] = q
		}
		return q
	}
}

func ensure(p **measure.Quantiles, make bool) *measure.Quantiles {
	if *p == nil && make {
		*p = new(measure.Quantiles)
	}
	return *p
}

func lost(cause string) field {
	return field{"lost_" + cause, func(r *Row) string { return strconv.FormatUint(r.Lost[cause], 10) }, func(r *Row, s string) error {
		v, err := strconv.ParseUint(s, 10, 64)
		if v > 0 {
			if r.Lost == nil {
				r.Lost = make(map[string]uint64)
			}
			r.Lost[cause] = v
		}
		return err
	}}
}

var fields = buildFields()

func buildFields() []field {
	type q = measure.Quantiles
	mean, p50, p90 := func(x *q) *float64 { return &x.Mean }, func(x *q) *float64 { return &x.P50 }, func(x *q) *float64 { return &x.P90 }
	p99, p999, most := func(x *q) *float64 { return &x.P99 }, func(x *q) *float64 { return &x.P999 }, func(x *q) *float64 { return &x.Max }
	list := []field{
		{"cell", func(r *Row) string { return r.Cell }, func(r *Row, s string) error { r.Cell = s; return nil }},
		integer("repeat", func(r *Row) *int { return &r.Repeat }),
		integer("record", func(r *Row) *int { return &r.Number }),
		integer("frames", func(r *Row) *int64 { return &r.Frames }),
		number("elapsed_s", func(r *Row) *float64 { return &r.Elapsed }),
		number("mean_frame_bytes", func(r *Row) *float64 { return &r.MeanSize }),
		number("fps", func(r *Row) *float64 { return &r.FPS }),
		quantile("latency_mean_ms", latency, mean), quantile("latency_p50_ms", latency, p50), quantile("latency_p90_ms", latency, p90),
		quantile("latency_p99_ms", latency, p99), quantile("latency_p999_ms", latency, p999), quantile("latency_max_ms", latency, most),
		optional("clock_error_ms", func(r *Row) **float64 { return &r.ClockError }),
		quantile("age_mean_ms", age, mean), quantile("age_p50_ms", age, p50), quantile("age_p90_ms", age, p90),
		quantile("age_p99_ms", age, p99), quantile("age_max_ms", age, most),
	}
	for s := measure.StageDriver; s < measure.StageTotal; s++ {
		list = append(list, quantile(s.String()+"_p50_ms", stage(s.String()), p50), quantile(s.String()+"_mean_ms", stage(s.String()), mean))
	}
	list = append(list,
		optional("jitter_ms", func(r *Row) **float64 { return &r.Jitter }),
		integer("freezes", func(r *Row) *int { return &r.Freezes }),
		number("frozen_s", func(r *Row) *float64 { return &r.FrozenFor }),
		number("longest_gap_ms", func(r *Row) *float64 { return &r.LongestGap }),
		integer("offered", func(r *Row) *uint64 { return &r.Offered }),
		integer("delivered", func(r *Row) *uint64 { return &r.Delivered }),
	)
	for c := range frame.NumCauses {
		list = append(list, lost(frame.Cause(c).String()))
	}
	return append(list,
		integer("imbalance", func(r *Row) *int64 { return &r.Imbalance }),
		integer("attempt", func(r *Row) *int { return &r.Attempt }),
		field{"began", func(r *Row) string { return r.Began.UTC().Format(time.RFC3339Nano) }, func(r *Row, s string) (err error) {
			r.Began, err = time.Parse(time.RFC3339Nano, s)
			return err
		}},
		integer("frame_log_end", func(r *Row) *int64 { return &r.LogEnd }),
	)
}

// header is the first line of records.csv.
func header() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func (r *Row) line() []string {
	values := make([]string, len(fields))
	for i, f := range fields {
		values[i] = f.get(r)
	}
	return values
}

// readRows reads records.csv of this or another version. A last line that was cut
// off is left out; whole is the number of bytes before it.
func readRows(b []byte) (rows []Row, whole int64, err error) {
	end := slices.Index(b, '\n')
	if end < 0 {
		return nil, 0, nil
	}
	last := strings.LastIndexByte(string(b), '\n') + 1
	cr := csv.NewReader(strings.NewReader(string(b[:last])))
	names, err := cr.Read()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", RecordsFile, err)
	}
	columns := make([]*field, len(names))
	for i, n := range names {
		if k := slices.IndexFunc(fields, func(f field) bool { return f.name == n }); k >= 0 {
			columns[i] = &fields[k]
		}
	}
	for _, need := range []string{"cell", "repeat", "record", "fps"} {
		if !slices.Contains(names, need) {
			return nil, 0, fmt.Errorf("%s has no column %s", RecordsFile, need)
		}
	}
	whole = cr.InputOffset()
	for {
		values, err := cr.Read()
		if err == io.EOF {
			return rows, whole, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", RecordsFile, err)
		}
		r := Row{Attempt: 1}
		r.Complete = true
		for i, c := range columns {
			if c == nil {
				continue
			}
			if err := c.set(&r, values[i]); err != nil {
				line, _ := cr.FieldPos(i)
				return nil, 0, fmt.Errorf("%s:%d: %s is %q: %w", RecordsFile, line, c.name, values[i], err)
			}
		}
		r.Bytes = int64(math.Round(r.MeanSize * float64(r.Frames)))
		rows = append(rows, r)
		whole = cr.InputOffset()
	}
}

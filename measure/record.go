package measure

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"framepipe/frame"
)

// Record is what happened within one record length, as the origin counts it, and
// what it did not count. Absent values are unknown.
type Record struct {
	Camera   string  `json:"camera"`
	Number   int     `json:"record"`   // from 1, in its Run
	Complete bool    `json:"complete"` // false: the run ended before the record did
	Frames   int64   `json:"frames"`
	Elapsed  float64 `json:"elapsed_s"`
	Bytes    int64   `json:"bytes"`
	MeanSize float64 `json:"mean_frame_bytes"`
	FPS      float64 `json:"fps"`

	Latency    *Quantiles            `json:"latency,omitempty"`        // captured -> handed to the viewers
	ClockError *float64              `json:"clock_error_ms,omitempty"` // bound on what the two clocks' relation adds to Latency, worst of the record
	Stages     map[string]*Quantiles `json:"stages,omitempty"`
	Age        *Quantiles            `json:"age,omitempty"` // of the newest frame, sampled every 2 ms
	Jitter     *float64              `json:"jitter_ms,omitempty"`
	Freezes    int                   `json:"freezes"`
	FrozenFor  float64               `json:"frozen_s"`
	LongestGap float64               `json:"longest_gap_ms"`

	Offered   uint64            `json:"offered"`
	Delivered uint64            `json:"delivered"`
	Lost      map[string]uint64 `json:"lost"`
	Imbalance int64             `json:"imbalance"`

	Run   string             `json:"run,omitempty"`  // tells one meter's records from another's, as after a restart: Number begins anew in each
	Began time.Time          `json:"began,omitzero"` // by the receiver's clock of the day, which may be wrong; of closed records, from who has such a clock
	Start frame.ReceiverTime `json:"-"`              // the same moment by the monotonic clock
}

// Line is the record as one line for people: the origin's three figures first.
func (r *Record) Line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d frames in %.1f s, mean size %.0f bytes: %.1f fps", r.Frames, r.Elapsed, r.MeanSize, r.FPS)
	if q := r.Latency; q != nil {
		fmt.Fprintf(&b, ", latency p50 %s p99 %s ms", short(q.P50), short(q.P99))
		if r.ClockError != nil && *r.ClockError > 0 {
			fmt.Fprintf(&b, " ±%s", short(*r.ClockError))
		}
	}
	if q := r.Age; q != nil {
		fmt.Fprintf(&b, ", age p99 %s ms", short(q.P99))
	}
	if r.Freezes > 0 {
		fmt.Fprintf(&b, ", %d freezes", r.Freezes)
	}
	if n := r.Offered - r.Delivered; n > 0 {
		fmt.Fprintf(&b, ", lost %d (%s)", n, causes(r.Lost))
	} else {
		b.WriteString(", lost 0")
	}
	if !r.Complete {
		b.WriteString(" (unfinished)")
	}
	return b.String()
}

// short writes milliseconds with as many digits as mean something.
func short(ms float64) string {
	switch {
	case ms < 1:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	case ms < 100:
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return strconv.FormatFloat(ms, 'f', 0, 64)
}

// Summary writes the origin's summary file: finished records only, one a line.
// It is written line by line and flushed, so that it is whole however the run
// ends.
type Summary struct {
	w *bufio.Writer
}

// SummaryHeader is the first line of the origin's summary file.
const SummaryHeader = "nbr_images, elapsed(sec), avg_img_size"

// NewSummary writes the header.
func NewSummary(w io.Writer) (*Summary, error) {
	s := &Summary{w: bufio.NewWriter(w)}
	fmt.Fprintln(s.w, SummaryHeader)
	return s, s.w.Flush()
}

// Add writes a record; one that is not complete is left out.
func (s *Summary) Add(r *Record) error {
	if !r.Complete {
		return nil
	}
	fmt.Fprintf(s.w, "%d, %s, %s\n", r.Frames, strconv.FormatFloat(r.Elapsed, 'f', 3, 64), strconv.FormatFloat(r.MeanSize, 'f', 0, 64))
	return s.w.Flush()
}

func seconds(d time.Duration) float64 { return d.Seconds() }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

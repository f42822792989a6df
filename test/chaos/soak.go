//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"framepipe/internal/doctor"
	"framepipe/internal/netem"
)

// sample is what both processes hold at one moment.
type sample struct {
	At     float64           `json:"at_s"`
	Sides  [2]doctor.Process `json:"sides"` // send, receive
	Drift  *float64          `json:"drift_ppm"`
	Error  *float64          `json:"clock_error_ms"`
	Offset *float64          `json:"offset_ms"`
	Counts [2]uint64         `json:"offered_delivered"`
	Lost   map[string]uint64 `json:"lost"`
}

var sideNames = [2]string{"send", "receive"}

// soak runs both sides for a long time, with viewers who come and go, and samples
// what they hold. It fails when something grows: the last quarter is held against
// the second one.
func soak(ctx context.Context, program string, d, every time.Duration, seed uint64, raw string) (string, error) {
	t := newTrial(program, &fault{name: "soak"}, seed)
	t.longRun = true
	defer t.end()
	if err := t.begin(ctx); err != nil {
		return "", err
	}
	visitors, leave := context.WithCancel(ctx)
	visiting := make(chan struct{})
	go func() {
		defer close(visiting)
		t.visit(visitors)
	}()
	defer func() { leave(); <-visiting }()
	var all []sample
	began := time.Now()
	for time.Since(began) < d {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(min(every, d)):
		}
		s, err := t.sample(time.Since(began))
		if err != nil {
			return "", err
		}
		all = append(all, s)
		fmt.Fprintf(os.Stderr, "%6.0f s: send %s; receive %s; %d of %d delivered\n", s.At, holdsText(&s.Sides[0]), holdsText(&s.Sides[1]), s.Counts[1], s.Counts[0])
	}
	leave()
	<-visiting
	if err := t.account(); err != nil {
		return "", err
	}
	if b, err := json.Marshal(all); err == nil {
		_ = os.MkdirAll(raw, 0o777)
		_ = os.WriteFile(filepath.Join(raw, "soak.json"), b, 0o666)
	}
	text, err := soakReport(all, t)
	if len(t.result.Failures) > 0 {
		err = errors.Join(err, errors.New(strings.Join(t.result.Failures, "; ")))
	}
	return text, err
}

func holdsText(p *doctor.Process) string {
	return fmt.Sprintf("%.1f MB, heap %.1f MB, %d goroutines, %d files, %d frames", float64(p.RSS)/1e6, float64(p.Heap)/1e6, p.Goroutines, p.OpenFiles, p.Frames)
}

func (t *trial) sample(at time.Duration) (s sample, err error) {
	s.At = at.Seconds()
	for i, p := range []*process{t.send, t.recv} {
		if s.Sides[i], err = t.reading(p); err != nil {
			return s, err
		}
	}
	b, err := t.get("/cameras/" + camName + "/state")
	if err != nil {
		return s, err
	}
	var st struct {
		live
		Clock *struct {
			Drift  *float64 `json:"drift_ppm"`
			Error  *float64 `json:"error_ms"`
			Offset *float64 `json:"offset_ms"`
		} `json:"clock"`
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return s, err
	}
	s.Counts, s.Lost = [2]uint64{st.Live.Offered, st.Live.Delivered}, st.Live.Lost
	if st.Clock != nil {
		s.Drift, s.Error, s.Offset = st.Clock.Drift, st.Clock.Error, st.Clock.Offset
	}
	if st.Live.Imbalance != 0 {
		err = fmt.Errorf("the ledger is out of balance by %d", st.Live.Imbalance)
	}
	return s, err
}

// visit looks in now and then, as people do.
func (t *trial) visit(ctx context.Context) {
	rng := rand.New(rand.NewPCG(t.seed, 1))
	for ctx.Err() == nil {
		c, err := t.link.DialIn(ctx, netem.B, "tcp", net.JoinHostPort("127.0.0.1", httpPort))
		if err == nil {
			path := []string{"/stream", "/", "/snapshot", "/metrics"}[rng.IntN(4)]
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path)
			_ = c.SetReadDeadline(time.Now().Add(time.Duration(rng.Int64N(int64(3 * time.Second)))))
			b := make([]byte, 64<<10)
			for ctx.Err() == nil {
				if _, err := c.Read(b); err != nil {
					break
				}
			}
			c.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rng.Int64N(int64(2 * time.Second)))):
		}
	}
}

// soakReport is the table, made from the samples; it says what grew.
func soakReport(all []sample, t *trial) (string, error) {
	if len(all) < 8 {
		return "", fmt.Errorf("%d samples are too few to tell whether anything grows", len(all))
	}
	n := len(all)
	second, last := all[n/4:n/2], all[3*n/4:]
	var b strings.Builder
	b.WriteString("| | second quarter, median | last quarter, median | most |\n|---|---|---|---|\n")
	var errs []error
	for side := range sideNames {
		for _, m := range []struct {
			name  string
			of    func(*doctor.Process) float64
			slack float64 // what may come and go
		}{
			{"resident memory, MB", func(p *doctor.Process) float64 { return float64(p.RSS) / 1e6 }, 4},
			{"goroutines", func(p *doctor.Process) float64 { return float64(p.Goroutines) }, 8},
			{"open files", func(p *doctor.Process) float64 { return float64(p.OpenFiles) }, 4},
			{"frame buffers out", func(p *doctor.Process) float64 { return float64(p.Frames) }, 3},
		} {
			value := func(s sample) float64 { return m.of(&s.Sides[side]) }
			a, z := median(second, value), median(last, value)
			most := 0.0
			for _, s := range all {
				most = max(most, value(s))
			}
			fmt.Fprintf(&b, "| `%s` %s | %.4g | %.4g | %.4g |\n", sideNames[side], m.name, a, z, most)
			if z > 1.1*a+m.slack {
				errs = append(errs, fmt.Errorf("%s grows: %s %.4g, then %.4g", sideNames[side], m.name, a, z))
			}
		}
	}
	var drifts, errors_ []float64
	for _, s := range all {
		if s.Drift != nil && s.Error != nil {
			drifts, errors_ = append(drifts, *s.Drift), append(errors_, *s.Error)
		}
	}
	if len(drifts) > 0 {
		tail := drifts[len(drifts)/2:]
		fmt.Fprintf(&b, "\nClock drift estimate: %.2f to %.2f ppm in the second half (both sides have one and the same oscillator: 0 is true); error bound %.3f to %.3f ms.", slices.Min(tail), slices.Max(tail), slices.Min(errors_), slices.Max(errors_))
		if slices.Max(tail) > 50 || slices.Min(tail) < -50 {
			errs = append(errs, fmt.Errorf("the drift estimate is not flat: %v", tail))
		}
	}
	end := all[n-1]
	fmt.Fprintf(&b, " %d frames offered, %d delivered, lost %s; silently %d.\n", end.Counts[0], end.Counts[1], causes(end.Lost), t.result.Silent)
	return b.String(), errors.Join(errs...)
}

func median(all []sample, value func(sample) float64) float64 {
	var v []float64
	for _, s := range all {
		v = append(v, value(s))
	}
	slices.Sort(v)
	return v[(len(v)-1)/2]
}

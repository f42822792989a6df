package metrics

import (
	"bytes"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"framepipe/measure"
)

// parsed reads a page with Prometheus' own parser.
func parsed(t testing.TB, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}

// samples fills a page with every kind of thing it can have.
func samples(p *page, label string) {
	p.put(connected, 1, label)
	p.put(frames, 1<<53, label, "delivered", "")
	p.put(frames, 0, label, "lost", "stale")
	p.put(frames, 7, "another", "lost", "stale")
	p.put(age, 0.000123456789, label)
	p.put(clockError, math.Inf(1), label)
	p.put(roundTrip, math.NaN(), label)
	p.put(nominal, 1e-9, label)
	p.put(gate, -1e21, label)
	var d measure.Delays
	p.delays(latency, &d, label) // nothing before the first
	for i := range d.Counts {
		d.Counts[i] = uint64(i * i)
	}
	d.Sum = 123456789 * time.Microsecond
	p.delays(stage, &d, label, "encode")
	p.sample(goPauses, "", "quantile", "0.25", 0.5, nil)
	p.sample(goPauses, "_sum", "", "", 2, nil)
	p.count(goPauses, "_count", "", "", 3, nil)
}

// Byte for byte as Prometheus' library writes it, in both formats.
func TestAsExpfmtWritesIt(t *testing.T) {
	for _, s := range []struct {
		syntax
		format expfmt.Format
	}{
		{plain, expfmt.NewFormat(expfmt.TypeTextPlain)},
		{openMetrics, expfmt.NewFormat(expfmt.TypeOpenMetrics)},
	} {
		var p page
		for range 2 { // its memory is used again
			p.begin(plain)
			samples(&p, "door \\\n\"ä")
		}
		families := parsed(t, p.end())
		var want bytes.Buffer
		e := expfmt.NewEncoder(&want, s.format)
		for _, f := range byName() {
			if m := families[f.name]; m != nil {
				if err := e.Encode(m); err != nil {
					t.Fatal(err)
				}
			}
		}
		if c, ok := e.(expfmt.Closer); ok {
			c.Close()
		}
		p.begin(s.syntax)
		samples(&p, "door \\\n\"ä")
		if got := string(p.end()); got != want.String() {
			t.Errorf("%s:\n%s\nwant:\n%s", s.contentType, got, &want)
		}
	}
}

// Whatever a peer calls itself, Prometheus reads it back.
func FuzzLabels(f *testing.F) {
	for _, s := range []string{"", "door", "a\nb", `\`, `"`, "\xff", "{}=,", "# EOF", strings.Repeat("ä", 60)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, label string) {
		var p page
		p.begin(plain)
		samples(&p, label)
		families := parsed(t, p.end())
		if got := families[connected.name].Metric[0].Label[0].GetValue(); got != printable(label) {
			t.Errorf("%q became %q", printable(label), got)
		}
		if n := len(families); n != 9 {
			t.Errorf("%d families", n)
		}
	})
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]syntax{
		"":                             plain,
		"*/*":                          plain,
		"text/html":                    plain,
		"application/openmetrics-text": openMetrics,
		// Prometheus 2.42 and 3.5, and curl with what RFC 9110 allows
		"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1": openMetrics,
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.3,*/*;q=0.2":                        openMetrics,
		"application/openmetrics-text; version=2.0.0, text/plain; version=0.0.4; q=0.1":                                                         plain,
		"application/openmetrics-text;q=0.2, text/plain;q=0.9":                                                                                  plain,
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited, application/openmetrics-text;q=0.5":        openMetrics,
		";;;,,,q=": plain,
	} {
		if got := negotiate(accept); got != want {
			t.Errorf("%q: %s", accept, got.contentType)
		}
	}
}

// The runtime's and the process' series are those of Prometheus' library: names,
// types, and what does not change while one looks.
func TestSeriesOfEveryProgram(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	theirs, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{}
	ours := parsed(t, h.scrape(plain))
	value := func(m *dto.MetricFamily) float64 {
		return m.Metric[0].GetGauge().GetValue() + m.Metric[0].GetCounter().GetValue()
	}
	known := map[string]bool{}
	for _, want := range theirs {
		name := want.GetName()
		known[name] = true
		got := ours[name]
		if strings.HasPrefix(name, "process_network_") {
			if got != nil {
				t.Errorf("%s is not the process'", name)
			}
			continue
		}
		if got == nil {
			t.Errorf("no %s", name)
			continue
		}
		if got.GetType() != want.GetType() {
			t.Errorf("%s is a %v, want %v", name, got.GetType(), want.GetType())
		}
		tolerance := map[string]float64{ // of what both must agree on
			"go_gc_gogc_percent": 0, "go_gc_gomemlimit_bytes": 0, "go_sched_gomaxprocs_threads": 0, "go_info": 0,
			"process_max_fds": 0, "process_virtual_memory_max_bytes": 0, "process_start_time_seconds": 0.02,
			"process_cpu_seconds_total": 1, "process_open_fds": 3, "process_virtual_memory_bytes": 256 << 20, "process_resident_memory_bytes": 64 << 20,
			"go_memstats_sys_bytes": 64 << 20, "go_memstats_heap_sys_bytes": 64 << 20, "go_threads": 8,
		}
		if most, ok := tolerance[name]; ok && math.Abs(value(got)-value(want)) > most {
			t.Errorf("%s: %v, want %v", name, value(got), value(want))
		}
		if want.GetType() == dto.MetricType_SUMMARY && len(got.Metric[0].Summary.Quantile) != len(want.Metric[0].Summary.Quantile) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name := range ours {
		if !known[name] && !strings.HasPrefix(name, "framepipe_") {
			t.Errorf("%s is not among client_golang's", name)
		}
	}
	if runtime.GOOS == "linux" && ours["process_resident_memory_bytes"] == nil {
		t.Error("no memory of the process")
	}
	problems, err := promlint.New(bytes.NewReader(h.scrape(plain))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}

// A scrape makes no more garbage than its answer and what the meters are copied into.
func BenchmarkScrape(b *testing.B) {
	h := &handler{}
	b.ReportAllocs()
	for b.Loop() {
		h.scrape(plain)
	}
}

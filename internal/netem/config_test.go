package netem

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseSpec(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		want Path
	}{
		"nothing": {"", Path{}},
		"everything": {"rate=35mbit,delay=5ms,loss=1%,queue=1MB,jitter=3ms,burst=3%/5ms,outage=2s+1s,step=8mbit@2s-5s", Path{
			Rate: 35e6, Delay: 5 * time.Millisecond, Loss: 0.01, Queue: 1e6, Jitter: 3 * time.Millisecond,
			Burst:   Burst{0.03, 5 * time.Millisecond},
			Outages: []Outage{{At: 2 * time.Second, For: time.Second}},
			Steps:   []Step{{8e6, 2 * time.Second, 5 * time.Second}},
		}},
		"blanks and case":    {" rate=1.5Gbit , queue=300kB ", Path{Rate: 15e8, Queue: 300000}},
		"bare numbers":       {"rate=9600,queue=4096,loss=0.25", Path{Rate: 9600, Queue: 4096, Loss: 0.25}},
		"powers of two":      {"queue=64KiB", Path{Queue: 65536}},
		"outages that hold":  {"hold=1s+200ms,outage=2s+1s", Path{Outages: []Outage{{time.Second, 200 * time.Millisecond, true}, {2 * time.Second, time.Second, false}}}},
		"steps, one by one":  {"step=1mbit@0s-1s,step=2mbit@1s-2s", Path{Steps: []Step{{1e6, 0, time.Second}, {2e6, time.Second, 2 * time.Second}}}},
		"everything is lost": {"loss=100%", Path{Loss: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSpec(c.spec)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%+v, %v; want %+v", got, err, c.want)
			}
			again, err := ParseSpec(got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("written as %q and read as %+v, %v", got.String(), again, err)
			}
		})
	}
}

func TestParseSpecErrors(t *testing.T) {
	for spec, part := range map[string]string{
		"rate":                              "name=value",
		"speed=1mbit":                       "unknown",
		"rate=fast":                         "no such quantity",
		"rate=-1":                           "no such quantity",
		"rate=NaN":                          "no such quantity",
		"queue=3GB":                         "no such quantity",
		"queue=3000MB":                      "more than 2 GB",
		"loss=101%":                         "between 0 and 100%",
		"loss=NaN":                          "between 0 and 100%",
		"loss=x":                            "no fraction",
		"delay=5":                           "missing unit",
		"delay=-5ms":                        "between 0",
		"jitter=2h":                         "between 0",
		"burst=3%":                          "FRACTION/MEAN",
		"burst=100%/5ms":                    "below 100%",
		"burst=3%/0s":                       "burst of 0s",
		"step=8mbit":                        "RATE@FROM-TO",
		"step=8mbit@5s-2s":                  "span of time",
		"step=0@1s-2s":                      "needs a rate",
		"step=1mbit@1s-3s,step=1mbit@2s-4s": "follow each other",
		"outage=2s":                         "AT+LENGTH",
		"outage=2s+0s":                      "outage at",
		"outage=1s+2s,outage=2s+1s":         "follow each other",
	} {
		if p, err := ParseSpec(spec); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %+v, %v; want an error that says %q", spec, p, err, part)
		}
	}
}

// What is read must be valid, and be read the same way when written again.
func FuzzParseSpec(f *testing.F) {
	f.Add("rate=35mbit,delay=5ms,loss=1%,queue=1MB,jitter=3ms,burst=3%/5ms,outage=2s+1s,step=8mbit@2s-5s")
	f.Add("hold=1s+1s,queue=1KiB,rate=1.5gbit")
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := ParseSpec(spec)
		if err != nil {
			return
		}
		q, err := ParseSpec(p.String())
		if err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", spec, p.String(), err)
		}
		if p.String() != q.String() {
			t.Fatalf("%q is written as %q and then as %q", spec, p.String(), q.String())
		}
	})
}

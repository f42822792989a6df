package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"framepipe/internal/netem"
	"framepipe/stream"
)

// A link is one column of the matrix.
type linkCase struct {
	name, spec, text string
}

// The links, in both directions alike unless said. Schedules count from the first
// data.
var links = []linkCase{
	{"a", "rate=100mbit,delay=2ms", "100 Mbit/s, 2 ms each way"},
	{"b", "rate=35mbit,delay=5ms,queue=1MB", "35 Mbit/s, 5 ms, queue 1 MB"},
	{"c", "rate=35mbit,delay=5ms,queue=300kB,loss=1%", "as b, 1 % random loss, queue 300 kB"},
	{"d", "rate=35mbit,delay=5ms,queue=1MB,burst=3%/5ms,jitter=3ms", "as b, everything lost in 3 % of the time in bursts of 5 ms, jitter 3 ms"},
	{"e", "rate=35mbit,delay=5ms,queue=1MB,step=8mbit@2s-5s", "as b, 8 Mbit/s from 2 s to 5 s"},
	{"f", "rate=35mbit,delay=5ms,queue=1MB,outage=2s+1s", "as b, everything lost from 2 s to 3 s"},
}

// recovery is when the link of case e has its rate again.
const recovery = 5 * time.Second

// A variant is a row of the matrix: what the sender does. With a target latency
// the camera keeps to the sender's budget as an encoder without a memory would:
// on average at once, and by ±15 % never quite.
type variant struct {
	policy, congestion string
	target             time.Duration // --target-latency; 0 = none
	kernelRTO          bool          // the retransmission timeout's floor is the kernel's own
}

func (v variant) String() string {
	s := v.policy + "+" + v.congestion
	if v.target > 0 {
		s += "+target=" + v.target.String()
	}
	if v.kernelRTO {
		s += "+rto=kernel"
	}
	return s
}

// targetLatency is what the sender aims at in the rows with a target.
const targetLatency = 80 * time.Millisecond

// The origin wrote with whatever the system's congestion control was, and that
// was cubic.
var variants = []variant{
	{policy: "block", congestion: "cubic"},
	{policy: "block", congestion: "bbr"},
	{policy: "newest", congestion: "bbr"},
	{policy: "gated", congestion: "bbr"},
	{policy: "gated", congestion: "cubic"},
	{policy: "ack=2", congestion: "bbr"},
	{policy: "deadline=80ms", congestion: "bbr"},
}

// A frameCase is what the camera makes.
type frameCase struct {
	name  string
	bytes int
	raw   bool // RGB24 of exactly these bytes instead of JPEGs of these ±15 %
	fps   float64
}

func (f frameCase) String() string {
	if f.fps == 30 {
		return f.name
	}
	return fmt.Sprintf("%s@%g", f.name, f.fps)
}

var (
	frame20  = frameCase{name: "20kB", bytes: 20_000, fps: 30}
	frame67  = frameCase{name: "67kB", bytes: 67_000, fps: 30}
	frame230 = frameCase{name: "230kB", bytes: frameWidth * frameHeight * 3, raw: true, fps: 30}
	frame120 = frameCase{name: "20kB", bytes: 20_000, fps: 120}
)

// A spec is one cell of the matrix: what one run measures.
type spec struct {
	link     linkCase
	variant  variant
	frame    frameCase
	duration time.Duration
	apart    bool   // the sender in a process of its own, so that its processor time is known
	viewer   string // "http" or "websocket": a viewer of the web server instead of a sender and a receiver
	tbf      bool   // through the kernel's token bucket instead of the emulator
}

// Name is the benchmark's.
func (s spec) Name() string {
	if s.viewer != "" {
		return fmt.Sprintf("Viewer/link=%s/viewer=%s/frame=%s/fps=%g", s.link.name, s.viewer, s.frame.name, s.frame.fps)
	}
	name := fmt.Sprintf("Link/link=%s/policy=%s/congestion=%s/frame=%s/fps=%g", s.link.name, s.variant.policy, s.variant.congestion, s.frame.name, s.frame.fps)
	if s.variant.target > 0 {
		name += "/target=" + s.variant.target.String()
	}
	if s.variant.kernelRTO {
		name += "/rto=kernel"
	}
	if s.apart {
		name += "/sender=apart"
	}
	return name
}

// config is the emulated link.
func (s spec) config(seed uint64) (netem.Config, error) {
	p, err := netem.ParseSpec(s.link.spec)
	c := netem.Symmetric(p)
	c.Seed = seed
	return c, err
}

// selection is which part of the matrix to measure.
type selection struct {
	quick                   bool
	rto                     bool // only: the retransmission timeout's floor against the kernel's own
	links, policies, frames []string
}

func (s selection) specs(duration time.Duration) ([]spec, error) {
	all := matrixSpecs(s.quick, duration)
	if s.rto {
		all = rtoSpecs(duration)
	}
	var names []string
	for _, want := range []struct {
		flag  string
		names []string
		of    func(spec) []string
	}{
		{"cases", s.links, func(c spec) []string { return []string{c.link.name} }},
		{"policies", s.policies, func(c spec) []string { return []string{c.variant.policy, c.variant.String()} }},
		{"frames", s.frames, func(c spec) []string { return []string{c.frame.String()} }},
	} {
		names = want.names
		for _, name := range names {
			if !slices.ContainsFunc(all, func(c spec) bool { return slices.Contains(want.of(c), name) }) {
				return nil, fmt.Errorf("-%s %s: nothing (more) of that name in the matrix", want.flag, name)
			}
		}
		if len(names) > 0 {
			all = slices.DeleteFunc(all, func(c spec) bool {
				return !slices.ContainsFunc(want.of(c), func(n string) bool { return slices.Contains(names, n) })
			})
		}
	}
	return all, nil
}

// rtoSpecs are the links that lose packets, with the default policy as it is and
// with the kernel's own floor of the retransmission timeout.
func rtoSpecs(duration time.Duration) []spec {
	var all []spec
	for _, l := range links {
		if l.name != "c" && l.name != "d" {
			continue
		}
		for _, f := range []frameCase{frame20, frame67} {
			v := variants[3]
			all = append(all, spec{link: l, variant: v, frame: f, duration: duration})
			v.kernelRTO = true
			all = append(all, spec{link: l, variant: v, frame: f, duration: duration})
		}
	}
	return all
}

// matrixSpecs is the matrix, or the part of it that the goals are about.
func matrixSpecs(quick bool, duration time.Duration) []spec {
	var all []spec
	add := func(l linkCase, v variant, f frameCase) {
		c := spec{link: l, variant: v, frame: f, duration: duration}
		if v.target > 0 && l.name == "e" {
			c.duration = max(duration, recovery+4*time.Second) // the way back up must be seen
		}
		all = append(all, c)
	}
	target := func(l linkCase) {
		if !strings.Contains("de", l.name) {
			return
		}
		for _, v := range variants {
			if v.policy == stream.DefaultPolicy && v.congestion == "bbr" {
				v.target = targetLatency
				add(l, v, frame67)
			}
		}
	}
	if quick {
		for _, l := range links {
			f := frame67
			if l.name == "b" {
				f = frame230
			}
			for _, v := range []variant{variants[0], variants[3]} {
				add(l, v, f)
				if l.name == "b" {
					add(l, v, frame120)
				}
			}
			target(l)
		}
	} else {
		for _, l := range links {
			for _, v := range variants {
				for _, f := range []frameCase{frame20, frame67, frame230} {
					add(l, v, f)
				}
				if l.name == "b" {
					add(l, v, frame120)
				}
			}
			target(l)
		}
	}
	for _, v := range []variant{variants[0], variants[1], variants[3]} {
		all = append(all, spec{link: links[0], variant: v, frame: frame67, duration: duration, apart: true})
	}
	return append(all, viewerSpecs(duration)...)
}

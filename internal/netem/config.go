package netem

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Config describes a link. The zero value is a perfect one.
type Config struct {
	AB, BA Path   // from side A to side B, and back
	Seed   uint64 // of all chance; each direction and each cause draws from its own stream
}

// Path is one direction.
type Path struct {
	Rate    int64         // bits per second of IP packets; 0 = unlimited
	Queue   int           // bytes that may wait for the rate; 0 = DefaultQueue
	Delay   time.Duration // added to every packet
	Jitter  time.Duration // mean of an exponentially distributed further delay; order is kept
	Loss    float64       // probability that a packet is lost, 0..1
	Burst   Burst
	Steps   []Step
	Outages []Outage
}

// Burst is time-based bursty loss: all packets are lost during a Fraction of the
// time, in bursts whose lengths are exponentially distributed around Mean.
type Burst struct {
	Fraction float64
	Mean     time.Duration
}

// Step replaces the rate from From until To.
type Step struct {
	Rate     int64
	From, To time.Duration
}

// Outage begins At and lasts For. Packets are lost, or, with Hold, wait in the
// queue until it is over.
type Outage struct {
	At, For time.Duration
	Hold    bool
}

// DefaultQueue is the queue where none is given: what a home router may hold.
const DefaultQueue = 1_000_000

// Symmetric is a link with the same properties in both directions.
func Symmetric(p Path) Config { return Config{AB: p, BA: p} }

// ParseSpec reads a path from a specification such as
//
//	rate=35mbit,delay=5ms,loss=1%,queue=1MB,jitter=3ms,burst=3%/5ms,step=8mbit@2s-5s,outage=2s+1s,hold=4s+500ms
//
// step, outage and hold may be repeated. Sizes are in bytes with k, M (1000) or
// Ki, Mi (1024) before the B; rates in bit, kbit, mbit, gbit.
func ParseSpec(spec string) (Path, error) {
	var p Path
	if strings.TrimSpace(spec) == "" {
		return p, nil
	}
	for _, part := range strings.Split(spec, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return p, fmt.Errorf("link %q: %q is not name=value", spec, part)
		}
		if err := p.set(strings.ToLower(key), value); err != nil {
			return p, fmt.Errorf("link %q: %s: %w", spec, key, err)
		}
	}
	return p, p.Validate()
}

func (p *Path) set(key, value string) (err error) {
	switch key {
	case "rate":
		p.Rate, err = parseRate(value)
	case "queue":
		p.Queue, err = parseBytes(value)
	case "delay":
		p.Delay, err = time.ParseDuration(value)
	case "jitter":
		p.Jitter, err = time.ParseDuration(value)
	case "loss":
		p.Loss, err = parseFraction(value)
	case "burst":
		fraction, mean, ok := strings.Cut(value, "/")
		if !ok {
			return errors.New("want FRACTION/MEAN, as in 3%/5ms")
		}
		if p.Burst.Fraction, err = parseFraction(fraction); err == nil {
			p.Burst.Mean, err = time.ParseDuration(mean)
		}
	case "step":
		var s Step
		rate, span, ok := strings.Cut(value, "@")
		from, to, ok2 := strings.Cut(span, "-")
		if !ok || !ok2 {
			return errors.New("want RATE@FROM-TO, as in 8mbit@2s-5s")
		}
		if s.Rate, err = parseRate(rate); err == nil {
			if s.From, err = time.ParseDuration(from); err == nil {
				s.To, err = time.ParseDuration(to)
			}
		}
		p.Steps = append(p.Steps, s)
	case "outage", "hold":
		o := Outage{Hold: key == "hold"}
		at, length, ok := strings.Cut(value, "+")
		if !ok {
			return errors.New("want AT+LENGTH, as in 2s+1s")
		}
		if o.At, err = time.ParseDuration(at); err == nil {
			o.For, err = time.ParseDuration(length)
		}
		p.Outages = append(p.Outages, o)
	default:
		return errors.New("unknown; there are rate, queue, delay, jitter, loss, burst, step, outage, hold")
	}
	return err
}

// Validate says what cannot be emulated.
func (p *Path) Validate() error {
	const longest = time.Hour
	switch {
	case p.Rate < 0:
		return fmt.Errorf("rate %d is negative", p.Rate)
	case p.Queue < 0:
		return fmt.Errorf("queue %d is negative", p.Queue)
	case p.Delay < 0 || p.Delay > longest:
		return fmt.Errorf("delay %v is not between 0 and %v", p.Delay, longest)
	case p.Jitter < 0 || p.Jitter > longest:
		return fmt.Errorf("jitter %v is not between 0 and %v", p.Jitter, longest)
	case !(p.Loss >= 0 && p.Loss <= 1):
		return fmt.Errorf("loss %v is not between 0 and 100%%", p.Loss)
	case !(p.Burst.Fraction >= 0 && p.Burst.Fraction < 1):
		return fmt.Errorf("burst fraction %v is not below 100%%", p.Burst.Fraction)
	case p.Burst.Fraction > 0 && p.Burst.Mean <= 0:
		return fmt.Errorf("burst of %v", p.Burst.Mean)
	}
	for i, s := range p.Steps {
		if s.Rate <= 0 || s.From < 0 || s.To <= s.From {
			return fmt.Errorf("step to %d bit/s from %v to %v: a step needs a rate and a span of time", s.Rate, s.From, s.To)
		}
		if i > 0 && s.From < p.Steps[i-1].To {
			return errors.New("steps must follow each other")
		}
	}
	for i, o := range p.Outages {
		if o.At < 0 || o.For <= 0 || o.At+o.For < o.At {
			return fmt.Errorf("outage at %v of %v", o.At, o.For)
		}
		if i > 0 && o.At < p.Outages[i-1].At+p.Outages[i-1].For {
			return errors.New("outages must follow each other")
		}
	}
	return nil
}

// String is the specification that ParseSpec reads.
func (p Path) String() string {
	var parts []string
	add := func(key, value string, set bool) {
		if set {
			parts = append(parts, key+"="+value)
		}
	}
	percent := func(f float64) string { return strconv.FormatFloat(f*100, 'g', 6, 64) + "%" }
	add("rate", formatRate(p.Rate), p.Rate > 0)
	add("queue", strconv.Itoa(p.Queue), p.Queue > 0)
	add("delay", p.Delay.String(), p.Delay > 0)
	add("jitter", p.Jitter.String(), p.Jitter > 0)
	add("loss", percent(p.Loss), p.Loss > 0)
	add("burst", percent(p.Burst.Fraction)+"/"+p.Burst.Mean.String(), p.Burst.Fraction > 0)
	for _, s := range p.Steps {
		add("step", fmt.Sprintf("%s@%v-%v", formatRate(s.Rate), s.From, s.To), true)
	}
	for _, o := range p.Outages {
		key := "outage"
		if o.Hold {
			key = "hold"
		}
		add(key, fmt.Sprintf("%v+%v", o.At, o.For), true)
	}
	return strings.Join(parts, ",")
}

type unit struct {
	suffix string
	factor float64
}

// Longer suffixes first, because all end alike.
var (
	rateUnits = []unit{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}, {"", 1}}
	byteUnits = []unit{{"mib", 1 << 20}, {"kib", 1 << 10}, {"mb", 1e6}, {"kb", 1e3}, {"b", 1}, {"", 1}}
)

func parseUnits(s string, units []unit) (float64, error) {
	lower := strings.ToLower(strings.TrimSpace(s))
	for _, u := range units {
		digits, ok := strings.CutSuffix(lower, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if v *= u.factor; err == nil && v >= 0 && v <= 1e12 {
			return math.Round(v), nil
		}
		break
	}
	return 0, fmt.Errorf("%q is no such quantity", s)
}

func parseRate(s string) (int64, error) {
	v, err := parseUnits(s, rateUnits)
	return int64(v), err
}

func parseBytes(s string) (int, error) {
	v, err := parseUnits(s, byteUnits)
	if v > math.MaxInt32 {
		return 0, fmt.Errorf("%q is more than 2 GB", s)
	}
	return int(v), err
}

func parseFraction(s string) (float64, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no fraction", s)
	}
	if percent {
		v /= 100
	}
	return v, nil
}

func formatRate(bits int64) string {
	for _, u := range rateUnits {
		if f := int64(u.factor); bits%f == 0 && bits >= f && u.suffix != "" {
			return strconv.FormatInt(bits/f, 10) + u.suffix
		}
	}
	return strconv.FormatInt(bits, 10) + "bit"
}

package pattern

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"framepipe/capture"
)

// Defaults of what stands for physics.
const (
	DefaultStillDelay = 450 * time.Millisecond
	DefaultRearm      = 30 * time.Millisecond
	DefaultFPS        = 30
	DefaultWidth      = 640
	DefaultHeight     = 480

	maxFPS       = 1000
	maxPixels    = 64 << 20
	maxPrerender = 10_000
	maxPreBytes  = 512 << 20
)

type options struct {
	noise      int
	stillDelay time.Duration
	rearm      time.Duration
	prerender  int
}

// parse reads "pattern" or "pattern?noise=20&rearm=10ms".
func parse(spec string) (o options, err error) {
	o = options{stillDelay: DefaultStillDelay, rearm: DefaultRearm}
	name, query, _ := strings.Cut(spec, "?")
	if strings.TrimSuffix(name, ":") != "pattern" {
		return o, fmt.Errorf("source %q is not pattern", spec)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return o, err
	}
	for k, v := range q {
		s := v[len(v)-1]
		switch k {
		case "noise":
			if o.noise, err = strconv.Atoi(s); err == nil && (o.noise < 0 || o.noise > 100) {
				err = fmt.Errorf("%s is not within 0..100", s)
			}
		case "still-delay":
			o.stillDelay, err = duration(s)
		case "rearm":
			o.rearm, err = duration(s)
		case "prerender":
			if o.prerender, err = strconv.Atoi(s); err == nil && (o.prerender < 0 || o.prerender > maxPrerender) {
				err = fmt.Errorf("%s is not within 0..%d", s, maxPrerender)
			}
		default:
			err = fmt.Errorf("unknown option")
		}
		if err != nil {
			return o, fmt.Errorf("%s=%s: %w", k, s, err)
		}
	}
	return o, nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && (d < 0 || d > time.Minute) {
		err = fmt.Errorf("not within 0..1m")
	}
	return d, err
}

func configError(spec string, err error, hint string) error {
	return &capture.Error{Op: "open " + spec, Err: err, Hint: hint, Config: true}
}

package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/stream"
	"framepipe/wire"
)

// Error is a mistake in a plan: one line for a person.
type Error struct {
	File string
	Line int // 0 = not a matter of one line
	Msg  string
}

func (e *Error) Error() string {
	name := e.File
	if name == "" {
		name = "plan"
	}
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", name, e.Line, e.Msg)
	}
	return name + ": " + e.Msg
}

func errorAt(line int, format string, args ...any) error {
	return &Error{Line: line, Msg: fmt.Sprintf(format, args...)}
}

// FactorUsage lists what can vary or be fixed.
const FactorUsage = "mode, port, format, size, width, height, fps, quality, policy, congestion, control.NAME"

// Limits that keep a mistyped plan from running for a year or filling the memory.
const (
	maxCells   = 1000
	maxRecords = 100_000
	maxRepeats = 10_000
	minLength  = 100 * time.Millisecond
)

// set puts a value into settings, or says what is wrong with it.
func set(s *wire.Settings, name, value string) error {
	number := func(lo, hi int) (*int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < lo || n > hi {
			return nil, fmt.Errorf("%s %q: use %d to %d", name, value, lo, hi)
		}
		return &n, nil
	}
	const mostPixels = 16384
	var err error
	switch name {
	case "mode":
		_, err = capture.ParseMode(value)
		s.Mode = &value
	case "port":
		_, err = capture.ParsePort(value)
		s.Port = &value
	case "format":
		switch value {
		case "jpeg", "yuv", "rgb":
		default:
			if _, err = frame.ParseFormat(value); err != nil {
				err = fmt.Errorf("unknown format %q: use jpeg, yuv or rgb", value)
			}
		}
		s.Format = &value
	case "size":
		w, h, ok := strings.Cut(value, "x")
		width, e1 := strconv.Atoi(w)
		height, e2 := strconv.Atoi(h)
		if !ok || e1 != nil || e2 != nil || width < 1 || height < 1 || width > mostPixels || height > mostPixels {
			return fmt.Errorf("size %q: write it as 640x480", value)
		}
		s.Width, s.Height = &width, &height
	case "width":
		s.Width, err = number(1, mostPixels)
	case "height":
		s.Height, err = number(1, mostPixels)
	case "quality":
		s.Quality, err = number(1, 100)
	case "fps":
		f, e := strconv.ParseFloat(value, 64)
		if e != nil || !(f >= 0 && f <= 1000) {
			err = fmt.Errorf("fps %q: use 0 (the camera's choice) to 1000", value)
		}
		s.FPS = &f
	case "policy":
		_, err = stream.ParsePolicy(value)
		s.Policy = &value
	case "congestion":
		if value == "" || strings.ContainsAny(value, " \t/") {
			err = fmt.Errorf("congestion %q: use bbr, cubic or system", value)
		}
		s.Congestion = &value
	default:
		control, ok := strings.CutPrefix(name, "control.")
		if !ok || control == "" {
			return fmt.Errorf("unknown factor %q: there are %s", name, FactorUsage)
		}
		n, e := strconv.ParseInt(value, 0, 64)
		if e != nil {
			return fmt.Errorf("%s %q: use a number", name, value)
		}
		if s.Controls == nil {
			s.Controls = make(map[string]int64)
		}
		s.Controls[control] = n
	}
	return err
}

// Wire is the cell as it is asked of a camera.
func (c *Cell) Wire() (wire.Settings, error) {
	var s wire.Settings
	for _, x := range c.Settings {
		if err := set(&s, x.Name, x.Value); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Check says what is wrong with a plan. The error is an *Error.
func (p *Plan) Check() error {
	if err := p.checkMatrix(); err != nil {
		return err
	}
	switch {
	case p.Records < 1 || p.Records > maxRecords:
		return errorAt(0, "records %d: use 1 to %d", p.Records, maxRecords)
	case p.Repeats < 1 || p.Repeats > maxRepeats:
		return errorAt(0, "repeats %d: use 1 to %d", p.Repeats, maxRepeats)
	case p.Length < minLength || p.Length > time.Hour:
		return errorAt(0, "record-length %v: use %v to 1h", p.Length, minLength)
	case p.Warmup < 0 || p.Warmup > time.Hour:
		return errorAt(0, "warmup %v: use 0 to 1h", p.Warmup)
	case p.Pause < 0 || p.Pause > time.Hour:
		return errorAt(0, "pause %v: use 0 to 1h", p.Pause)
	}
	if _, err := netem.ParseSpec(p.Link); err != nil {
		return errorAt(0, "%v", err)
	}
	switch p.Unit {
	case UnitAuto, UnitRecord, "":
	case UnitRepeat:
		if p.Repeats < 2 {
			return errorAt(0, "unit repeat needs 2 repeats or more, there is %d", p.Repeats)
		}
	default:
		return errorAt(0, "unknown unit %q: use auto, record or repeat", p.Unit)
	}
	return p.checkStop()
}

func (p *Plan) checkMatrix() error {
	switch p.Design {
	case Full, OneAtATime:
	default:
		return errorAt(0, "unknown design %q: use full or one-at-a-time", p.Design)
	}
	seen := map[string]bool{}
	claim := func(name string, line int) error {
		names := []string{name}
		if name == "size" {
			names = []string{"width", "height", "size"}
		}
		for _, n := range names {
			if seen[n] || (n == "width" || n == "height") && seen["size"] {
				return errorAt(line, "%s is set twice", name)
			}
			seen[n] = true
		}
		return nil
	}
	for _, s := range p.Fixed {
		if err := set(new(wire.Settings), s.Name, s.Value); err != nil {
			return errorAt(s.line, "%v", err)
		}
		if err := claim(s.Name, s.line); err != nil {
			return err
		}
	}
	if len(p.Factors) == 0 && len(p.Fixed) == 0 {
		return errorAt(0, "the matrix is empty: it has neither factors nor fixed settings")
	}
	for _, f := range p.Factors {
		if len(f.Levels) == 0 {
			return errorAt(f.line, "the matrix is empty: factor %s has no levels", f.Name)
		}
		levels := map[string]bool{}
		for _, l := range f.Levels {
			if err := set(new(wire.Settings), f.Name, l); err != nil {
				return errorAt(f.line, "%v", err)
			}
			if levels[l] {
				return errorAt(f.line, "factor %s has level %s twice", f.Name, l)
			}
			levels[l] = true
		}
		if err := claim(f.Name, f.line); err != nil {
			return err
		}
	}
	if n := p.cellCount(); n > maxCells {
		return errorAt(0, "%d cells are more than the %d that are allowed; design one-at-a-time varies one factor at a time", n, maxCells)
	}
	ids := map[string]bool{}
	for _, c := range p.Cells() {
		if ids[c.ID] {
			return errorAt(0, "two cells are both called %s", c.ID)
		}
		ids[c.ID] = true
	}
	return nil
}

func (p *Plan) checkStop() error {
	s := &p.Stop
	block := time.Duration(p.cellCount()) * p.VisitTime()
	switch {
	case s.After < 0 || s.Precision < 0 || s.MinRepeats < 0:
		return errorAt(0, "stop: negative values mean nothing")
	case s.Precision >= 1:
		return errorAt(0, "stop: precision %g: write it as 2%%, a part of the mean", s.Precision)
	case s.MinRepeats > p.Repeats:
		return errorAt(0, "stop contradicts the plan: min-repeats %d is more than repeats %d", s.MinRepeats, p.Repeats)
	case s.MinRepeats > 0 && s.Precision == 0:
		return errorAt(0, "stop: min-repeats says when precision may stop the experiment, but there is no precision")
	case s.Precision > 0 && p.Repeats < 3:
		return errorAt(0, "stop contradicts the plan: precision needs 3 repeats or more, there are %d", p.Repeats)
	case s.After > 0 && s.After < block:
		return errorAt(0, "stop contradicts the plan: after %v not even one repeat of about %v is complete", s.After, block.Round(time.Second))
	}
	return nil
}

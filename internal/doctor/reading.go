package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Reading is what a machine is and how it fares at one moment, for the manifest
// of an experiment. What the machine does not tell is absent.
type Reading struct {
	Model       string   `json:"model,omitempty"`
	CPU         string   `json:"cpu,omitempty"`
	CPUs        int      `json:"cpus"`
	OS          string   `json:"os"`
	Kernel      string   `json:"kernel,omitempty"`
	Go          string   `json:"go"`
	Governor    string   `json:"cpu_governor,omitempty"`
	Temperature *float64 `json:"temperature_c,omitempty"` // of the hottest zone
	Throttled   *string  `json:"throttled,omitempty"`     // a Raspberry Pi's flags, hexadecimal: bits 0 to 3 now, 16 to 19 since the start
	WiFi        []WiFi   `json:"wifi,omitempty"`
	Process     *Process `json:"process,omitempty"` // filled in by who asks, about itself
}

// WiFi is the state of one interface that is connected.
type WiFi struct {
	Name   string   `json:"name"`
	Signal *int     `json:"signal_dbm,omitempty"`
	Rate   *float64 `json:"tx_mbit_per_s,omitempty"`
}

// Read takes a reading. It needs a few milliseconds, more where commands have to
// be run (iw; vcgencmd).
func Read(ctx context.Context, o Options) Reading {
	r := Reading{CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if runtime.GOOS != "linux" && o.Root == "" {
		return r
	}
	run := o.Run
	if run == nil {
		run = runCommand
	}
	s := &system{root: o.Root, run: run}
	r.Model, r.CPU = s.model(), s.cpuName()
	r.Kernel, _ = s.text("/proc/sys/kernel/osrelease")
	r.Governor, _ = s.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	if hottest, zone := s.hottest(); zone != "" {
		r.Temperature = &hottest
	}
	if bits, ok := s.throttled(ctx); ok {
		text := fmt.Sprintf("%#x", bits)
		r.Throttled = &text
	}
	for _, name := range s.wifiNames() {
		if w, ok := s.wifiReading(ctx, name); ok {
			r.WiFi = append(r.WiFi, w)
		}
	}
	return r
}

// ThrottledNow reports whether heat or a weak power supply slows the machine down
// at this moment.
func (r *Reading) ThrottledNow() bool {
	if r.Throttled == nil {
		return false
	}
	bits, err := strconv.ParseUint(strings.TrimPrefix(*r.Throttled, "0x"), 16, 64)
	return err == nil && bits&0xf != 0
}

func (s *system) cpuName() string {
	text, _ := s.text("/proc/cpuinfo")
	for _, line := range strings.Split(text, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (s *system) wifiReading(ctx context.Context, name string) (WiFi, bool) {
	w := WiFi{Name: filepath.Base(name)}
	if state, _ := s.text("/sys/class/net/" + name + "/operstate"); state == "down" {
		return w, false
	}
	out, _ := s.run(ctx, "iw", "dev", name, "link")
	if m := iwSignal.FindStringSubmatch(out); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			w.Signal = &n
		}
	} else if n, ok := s.procWireless(name); ok {
		w.Signal = &n
	}
	if m := iwBitrate.FindStringSubmatch(out); m != nil {
		if f, err := strconv.ParseFloat(m[1], 64); err == nil {
			w.Rate = &f
		}
	}
	return w, w.Signal != nil || w.Rate != nil
}

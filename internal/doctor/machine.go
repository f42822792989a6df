package doctor

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// model is the board's or the computer's name, "" if the machine does not say.
func (s *system) model() string {
	if m, ok := s.text("/proc/device-tree/model"); ok {
		return m
	}
	m, _ := s.text("/sys/class/dmi/id/product_name")
	return m
}

func (s *system) isPi() bool { return strings.HasPrefix(s.model(), "Raspberry Pi") }

func (s *system) machine() []Finding {
	f := Finding{Check: "machine", Level: Info, Text: s.model()}
	if f.Text == "" {
		f.Text = "model unknown"
	}
	if cpus := s.glob("/sys/devices/system/cpu/cpu[0-9]*"); len(cpus) > 0 {
		f.Text += fmt.Sprintf(", %d CPUs", len(cpus))
	}
	f.Text += ", program built for " + runtime.GOARCH
	kernel := Finding{Check: "kernel", Level: Unknown, Text: "no /proc/sys/kernel/osrelease"}
	if release, ok := s.text("/proc/sys/kernel/osrelease"); ok {
		kernel.Level, kernel.Text = Info, "Linux "+release
	}
	return []Finding{f, kernel, s.memory()}
}

// lowMemory is twice what send or receive need at most.
const lowMemory = 80 << 10 // kB

func (s *system) memory() Finding {
	f := Finding{Check: "memory", Level: Unknown, Text: "no /proc/meminfo"}
	text, ok := s.text("/proc/meminfo")
	if !ok {
		return f
	}
	kb := map[string]int{}
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) >= 2 {
			kb[strings.TrimSuffix(fields[0], ":")], _ = strconv.Atoi(fields[1])
		}
	}
	total, available := kb["MemTotal"], kb["MemAvailable"]
	if total == 0 || available == 0 {
		f.Text = "/proc/meminfo does not say how much is available"
		return f
	}
	f.Level, f.Text = OK, fmt.Sprintf("%d of %d MB available", available>>10, total>>10)
	if available < lowMemory {
		f.Level = Warn
		f.Text += ": the system may begin to swap"
		f.Fix = "stop other programs"
	}
	return f
}

// governor looks at how the CPU's clock is chosen.
func (s *system) governor() Finding {
	f := Finding{Check: "cpu-governor"}
	var names []string
	for _, path := range s.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor") {
		if g, ok := s.text(path); ok && !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	driver, _ := s.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver")
	const fix = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
	switch {
	case len(names) == 0:
		f.Level, f.Text = Unknown, "the kernel does not say how it chooses the CPU's clock (usual in a virtual machine)"
	case slices.Equal(names, []string{"performance"}):
		f.Level, f.Text = OK, "performance: the CPU always runs at its highest clock"
	case slices.Contains(names, "powersave") && !strings.HasPrefix(driver, "intel_pstate") && !strings.HasPrefix(driver, "amd-pstate"):
		f.Level, f.Text, f.Fix = Warn, "powersave: the CPU stays at its lowest clock", fix
	default:
		// Also powersave of the pstate drivers, which does follow the load.
		f.Level, f.Text, f.Fix = Info, strings.Join(names, ", ")+": the clock follows the load; a fixed one makes latency steadier", fix
	}
	return f
}

// The bits of vcgencmd get_throttled: now, and since the machine started.
var throttleBits = []struct {
	bit  uint
	text string
}{
	{0, "under-voltage"}, {1, "clock capped"}, {2, "throttled"}, {3, "soft temperature limit reached"},
}

// throttling asks a Raspberry Pi's firmware, and elsewhere the CPU's counters,
// whether heat or a weak power supply slowed it down.
func (s *system) throttling(ctx context.Context) Finding {
	f := Finding{Check: "throttling"}
	if bits, ok := s.throttled(ctx); ok {
		var now, before []string
		for _, b := range throttleBits {
			if bits>>b.bit&1 == 1 {
				now = append(now, b.text)
			} else if bits>>(b.bit+16)&1 == 1 {
				before = append(before, b.text)
			}
		}
		switch {
		case len(now) > 0:
			f.Level, f.Text = Warn, "slowed down now: "+strings.Join(now, ", ")
		case len(before) > 0:
			f.Level, f.Text = Warn, "was slowed down since the start: "+strings.Join(before, ", ")
		default:
			f.Level, f.Text = OK, "never slowed down by heat or voltage since the start"
		}
		if bits&0x10001 != 0 {
			f.Fix = "use a stronger power supply and a short, thick cable"
		} else if bits != 0 {
			f.Fix = "cool it: a heat sink or a fan"
		}
		return f
	}
	if s.isPi() {
		f.Level, f.Text = Unknown, "neither vcgencmd nor the firmware's file tells"
		return f
	}
	count, known := 0, false
	for _, path := range s.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count") {
		if text, ok := s.text(path); ok {
			n, err := strconv.Atoi(text)
			count, known = count+n, known || err == nil
		}
	}
	switch {
	case !known:
		f.Level, f.Text = Unknown, "this machine does not report it"
	case count > 0:
		f.Level, f.Text = Info, fmt.Sprintf("slowed down by heat %d times since the start", count)
	default:
		f.Level, f.Text = OK, "never slowed down by heat since the start"
	}
	return f
}

func (s *system) throttled(ctx context.Context) (uint64, bool) {
	if text, ok := s.text("/sys/devices/platform/soc/soc:firmware/get_throttled"); ok {
		bits, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
		return bits, err == nil
	}
	if !s.isPi() {
		return 0, false
	}
	out, err := s.run(ctx, "vcgencmd", "get_throttled")
	text, ok := strings.CutPrefix(strings.TrimSpace(out), "throttled=0x")
	if err != nil || !ok {
		return 0, false
	}
	bits, err := strconv.ParseUint(text, 16, 64)
	return bits, err == nil
}

// clock looks at the time of day. Latency needs none: the monotonic clocks of both
// sides are related over the connection. Recordings, records and X-Timestamp tell it.
func (s *system) clock() Finding {
	set := s.set
	if set == nil {
		set = clockIsSet
	}
	f := Finding{Check: "clock", Level: OK, Text: "the time of day is kept right (NTP or the like)"}
	switch ok, err := set(); {
	case err != nil:
		f.Level, f.Text = Unknown, "whether anything keeps the time of day right is not known: "+err.Error()
	case !ok:
		f.Level, f.Text = Warn, "nothing keeps the time of day right: it may be wrong in recordings, records and X-Timestamp (latency does not depend on it)"
		f.Fix = "sudo timedatectl set-ntp true (sudo apt install systemd-timesyncd, if there is no such service)"
	}
	return f
}

func (s *system) temperature() Finding {
	f := Finding{Check: "temperature", Level: Unknown, Text: "this machine does not report it"}
	hottest, zone := s.hottest()
	if zone == "" {
		return f
	}
	f.Level, f.Text = OK, fmt.Sprintf("%.0f °C (%s)", hottest, zone)
	// A Raspberry Pi slows down from 80 °C on, and softly from 60 °C on a 3B+.
	switch {
	case hottest >= 80:
		f.Level = Warn
		f.Text += ": the CPU slows down"
		f.Fix = "cool it: a heat sink or a fan"
	case hottest >= 70:
		f.Level = Info
		f.Text += ": warm"
	}
	return f
}

// hottest is the temperature of the hottest zone in degrees Celsius, and its name;
// "" if there is none.
func (s *system) hottest() (hottest float64, zone string) {
	for _, dir := range s.glob("/sys/class/thermal/thermal_zone[0-9]*") {
		text, _ := s.text(dir + "/temp")
		milli, err := strconv.Atoi(text)
		if c := float64(milli) / 1000; err == nil && (zone == "" || c > hottest) {
			hottest = c
			zone, _ = s.text(dir + "/type")
		}
	}
	return hottest, zone
}

package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const sysctlDir = "/proc/sys/net/ipv4/"

// bbr looks for the congestion control that keeps frames coming on a lossy
// link. An unprivileged program may only use what is loaded and allowed.
func (s *system) bbr() Finding {
	f := Finding{Check: "bbr"}
	available, ok := s.text(sysctlDir + "tcp_available_congestion_control")
	allowed, ok2 := s.text(sysctlDir + "tcp_allowed_congestion_control")
	if !ok || !ok2 {
		f.Level, f.Text = Unknown, "the kernel does not say which congestion controls it has"
		return f
	}
	loaded := slices.Contains(strings.Fields(available), "bbr")
	mayUse := slices.Contains(strings.Fields(allowed), "bbr") || s.id.uid == 0
	current, _ := s.text(sysctlDir + "tcp_congestion_control")

	allow := fmt.Sprintf("echo 'net.ipv4.tcp_allowed_congestion_control = %s' | sudo tee /etc/sysctl.d/60-framepipe.conf && sudo sysctl --system",
		strings.Join(withBBR(strings.Fields(allowed)), " "))
	switch {
	case loaded && mayUse:
		f.Level, f.Text = OK, "bbr may be used (the system's default is "+current+")"
	case loaded:
		f.Level, f.Text, f.Fix = Warn, "bbr is there but only root may use it: on a lossy link the frame rate suffers with "+current, allow
	case !s.hasModule("tcp_bbr"):
		f.Level, f.Text = Info, "this kernel has no bbr: "+current+" is used, which is slower on a lossy link"
	default:
		f.Level, f.Text = Warn, "bbr is not loaded: on a lossy link the frame rate suffers with "+current
		f.Fix = "echo tcp_bbr | sudo tee /etc/modules-load.d/framepipe.conf && sudo modprobe tcp_bbr && " + allow
	}
	return f
}

func withBBR(list []string) []string {
	if slices.Contains(list, "bbr") {
		return list
	}
	return append(slices.Clone(list), "bbr")
}

// hasModule also says yes when the modules of this kernel are not to be found at
// all, because then nothing is known.
func (s *system) hasModule(name string) bool {
	release, _ := s.text("/proc/sys/kernel/osrelease")
	deps, ok := s.text("/lib/modules/" + release + "/modules.dep")
	return !ok || strings.Contains(deps, "/"+name+".ko")
}

func (s *system) socketOptions() Finding {
	try := s.sockets
	if try == nil {
		try = trySockets
	}
	f := Finding{Check: "socket-options", Level: OK, Text: "the send queue can be bounded and watched (TCP_NOTSENT_LOWAT, TCP_INFO)"}
	if err := try(); err != nil {
		f.Level, f.Text = Warn, "the send queue cannot be bounded: latency grows when the link is full: "+err.Error()
	}
	return f
}

func (s *system) wifi(ctx context.Context) []Finding {
	names := s.wifiNames()
	if !s.exists("/sys/class/net") {
		return []Finding{{Check: "wifi", Level: Unknown, Text: "no /sys/class/net: which interfaces there are is not known"}}
	}
	if len(names) == 0 {
		return []Finding{{Check: "wifi", Level: Info, Text: "no Wi-Fi interface"}}
	}
	var all []Finding
	for _, name := range names {
		if state, _ := s.text("/sys/class/net/" + name + "/operstate"); state == "down" {
			all = append(all, Finding{Check: "wifi", Level: Info, Text: name + " is down"})
			continue
		}
		all = append(all, s.powerSave(ctx, name), s.signal(ctx, name))
	}
	return all
}

func (s *system) wifiNames() []string {
	var names []string
	for _, path := range append(s.glob("/sys/class/net/*/wireless"), s.glob("/sys/class/net/*/phy80211")...) {
		if name := filepath.Base(filepath.Dir(path)); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (s *system) powerSave(ctx context.Context, name string) Finding {
	f := Finding{Check: "wifi-power-save"}
	out, err := s.run(ctx, "iw", "dev", name, "get", "power_save")
	switch {
	case strings.Contains(out, "Power save: on"):
		f.Level, f.Text = Warn, name+": power save is on: frames may wait 100 ms and more in the access point"
		f.Fix = "sudo iw dev " + name + " set power_save off"
	case strings.Contains(out, "Power save: off"):
		f.Level, f.Text = OK, name+": power save is off"
	case err != nil && out == "":
		f.Level, f.Text, f.Fix = Unknown, name+": power save could not be looked at: iw is not installed", "sudo apt install iw"
	default:
		f.Level, f.Text = Unknown, fmt.Sprintf("%s: power save could not be looked at: iw says %q", name, firstLine(out))
	}
	return f
}

var (
	iwSignal  = regexp.MustCompile(`signal: (-?\d+) dBm`)
	iwBitrate = regexp.MustCompile(`tx bitrate: ([\d.]+) MBit/s`)
)

// signal asks iw, and where that is missing the older /proc/net/wireless.
func (s *system) signal(ctx context.Context, name string) Finding {
	f := Finding{Check: "wifi-signal", Level: Unknown}
	out, _ := s.run(ctx, "iw", "dev", name, "link")
	dbm, known := 0, false
	if m := iwSignal.FindStringSubmatch(out); m != nil {
		dbm, _ = strconv.Atoi(m[1])
		known = true
	} else if strings.HasPrefix(out, "Not connected") {
		f.Level, f.Text = Info, name+" is not connected"
		return f
	} else {
		dbm, known = s.procWireless(name)
	}
	if !known {
		f.Text = name + ": neither iw nor /proc/net/wireless tells the signal strength"
		return f
	}
	f.Text = fmt.Sprintf("%s: signal %d dBm", name, dbm)
	if m := iwBitrate.FindStringSubmatch(out); m != nil {
		f.Text += ", sending at " + m[1] + " Mbit/s"
	}
	switch {
	case dbm >= -65:
		f.Level = OK
	case dbm >= -72:
		f.Level = Info
		f.Text += ": fair"
	default:
		f.Level = Warn
		f.Text += ": weak, expect loss and a low rate"
		f.Fix = "move nearer to the access point, or use a cable or the 5 GHz band"
	}
	return f
}

// procWireless reads "wlan0: 0000   58.  -52.  -256 …": status, quality, level.
func (s *system) procWireless(name string) (dbm int, ok bool) {
	text, _ := s.text("/proc/net/wireless")
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) >= 4 && fields[0] == name+":" {
			n, err := strconv.Atoi(strings.TrimSuffix(fields[3], "."))
			return n, err == nil && n < 0 // some drivers report a positive figure of their own
		}
	}
	return 0, false
}

package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// node is one /dev/videoN.
type node struct {
	dev    string // "/dev/video0"
	name   string // as its driver calls it
	driver string // "uvcvideo"; "" = unknown
	sysfs  string // "/sys/class/video4linux/video0"
}

// A Raspberry Pi has video nodes that are no cameras: the codec, the image
// processor, and the raw sensor that only libcamera can use.
var notCameras = []string{"bcm2835-codec", "bcm2835-isp", "rpivid", "rpi-hevc-dec", "pispbe", "hevc", "cedrus", "hantro", "rkvdec"}

var rawSensors = []string{"unicam", "rp1-cfe"}

func hasPrefixOf(s string, list []string) bool {
	for _, p := range list {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// videoNodes lists the nodes that may be cameras, and how many are raw sensors.
func (s *system) videoNodes() (nodes []node, raw int) {
	for _, sysfs := range s.glob("/sys/class/video4linux/video[0-9]*") {
		n := node{dev: "/dev/" + filepath.Base(sysfs), sysfs: sysfs}
		n.name, _ = s.text(sysfs + "/name")
		n.driver = s.linkBase(sysfs + "/device/driver")
		index, _ := s.text(sysfs + "/index")
		switch {
		case hasPrefixOf(n.name, rawSensors) || hasPrefixOf(n.driver, rawSensors):
			raw++
		case hasPrefixOf(n.name, notCameras):
		case n.driver == "uvcvideo" && index != "0" && index != "": // carries metadata, not pictures
		default:
			nodes = append(nodes, n)
		}
	}
	if nodes == nil && raw == 0 && !s.exists("/sys/class/video4linux") {
		// In a container /sys may be hidden while devices were handed in.
		for _, dev := range s.glob("/dev/video[0-9]*") {
			nodes = append(nodes, node{dev: dev})
		}
	}
	return nodes, raw
}

func (s *system) cameras(ctx context.Context, o Options) []Finding {
	nodes, raw := s.videoNodes()
	device := o.Device
	if !strings.HasPrefix(device, "/") {
		device = ""
	}
	if device != "" {
		var chosen []node
		for _, n := range nodes {
			if n.dev == device {
				chosen = append(chosen, n)
			}
		}
		if chosen == nil && !s.exists(device) {
			return []Finding{{Check: "camera", Level: Fail, Text: "there is no " + device,
				Fix: "`framepipe devices` lists the cameras"}}
		}
		if chosen == nil {
			chosen = []node{{dev: device}}
		}
		nodes, raw = chosen, 0
	}
	var all []Finding
	if f, ok := s.libcamera(ctx, raw); ok && device == "" {
		all = append(all, f)
		if len(nodes) == 0 {
			return all
		}
	}
	if len(nodes) == 0 {
		return append(all, Finding{Check: "camera", Level: Fail, Text: "no camera: there is no video capture device",
			Fix: "plug one in, or try without: framepipe demo"})
	}
	for _, n := range nodes {
		all = append(all, s.permission(n), s.busy(n))
		if f, ok := s.usbSpeed(n); ok {
			all = append(all, f)
		}
		if f, ok := s.exposure(n, o); ok {
			all = append(all, f)
		}
	}
	all = append(all, s.crowded(nodes)...)
	if f, ok := s.legacy(nodes); ok {
		all = append(all, f)
	}
	return all
}

// libcamera asks for the cameras behind the Pi's own connector. It has nothing
// to say where there is neither such a connector nor the programs.
func (s *system) libcamera(ctx context.Context, raw int) (Finding, bool) {
	f := Finding{Check: "camera"}
	for _, program := range []string{"rpicam-hello", "libcamera-hello"} {
		out, err := s.run(ctx, program, "--list-cameras")
		if err != nil && out == "" {
			continue // not installed
		}
		if strings.Contains(out, "No cameras available") {
			if raw == 0 {
				return Finding{}, false // nothing on the connector: USB cameras decide
			}
			f.Level, f.Text = Fail, "a sensor is configured, but "+program+" finds no camera"
			f.Fix = "check the ribbon cable (power off first), and camera_auto_detect=1 in /boot/firmware/config.txt"
			return f, true
		}
		var names []string
		for _, line := range strings.Split(out, "\n") {
			// "0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)"
			number, rest, ok := strings.Cut(line, " : ")
			if _, err := strconv.Atoi(strings.TrimSpace(number)); ok && err == nil && rest != "" {
				names = append(names, strings.Fields(rest)[0])
			}
		}
		if len(names) == 0 {
			f.Level, f.Text = Unknown, fmt.Sprintf("%s --list-cameras says %q", program, firstLine(out))
			return f, true
		}
		f.Level, f.Text = OK, fmt.Sprintf("libcamera: %s (--source rpicam:0)", strings.Join(names, ", "))
		return f, true
	}
	if raw == 0 {
		return Finding{}, false
	}
	f.Level, f.Text = Fail, "there is a camera sensor, but not the programs that use it"
	f.Fix = "sudo apt install rpicam-apps-lite"
	return f, true
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

func (n node) String() string {
	switch {
	case n.name == "":
		return n.dev
	case n.driver == "":
		return fmt.Sprintf("%s (%s)", n.dev, n.name)
	}
	return fmt.Sprintf("%s (%s, driver %s)", n.dev, n.name, n.driver)
}

func (s *system) permission(n node) Finding {
	f := Finding{Check: "camera"}
	stat := s.owner
	if stat == nil {
		stat = func(path string) (owner, error) { return fileOwner(s.path(path)) }
	}
	o, err := stat(n.dev)
	if err != nil {
		f.Level, f.Text = Unknown, fmt.Sprintf("%s: who may open it is not known: %v", n, err)
		return f
	}
	if s.id.mayOpen(o) {
		f.Level, f.Text = OK, fmt.Sprintf("%s may be opened", n)
		return f
	}
	group := s.groupName(o.gid)
	f.Level = Fail
	f.Text = fmt.Sprintf("%s may not be opened by this user: it is for group %s", n, group)
	f.Fix = fmt.Sprintf("sudo usermod -aG %s $USER, then log in again", group)
	if o.mode.Perm()&0o060 != 0o060 {
		f.Text = fmt.Sprintf("%s may not be opened by this user: its permissions are %v", n, o.mode.Perm())
		f.Fix = "sudo chmod g+rw " + n.dev
	}
	return f
}

// Sound and desktop servers hold cameras open without streaming from them.
var watchers = map[string]bool{"pipewire": true, "wireplumber": true, "pipewire-media-": true}

// busy looks for programs that have the device open. Only root sees those of
// other users.
func (s *system) busy(n node) Finding {
	f := Finding{Check: "busy"}
	var users, fix []string
	looked, hidden := 0, 0
	level := Info
	for _, proc := range s.glob("/proc/[0-9]*") {
		pid := number(proc)
		fds, err := os.ReadDir(s.path(proc + "/fd"))
		if err != nil {
			if os.IsPermission(err) {
				hidden++
			}
			continue
		}
		looked++
		for _, fd := range fds {
			target, err := os.Readlink(s.path(proc + "/fd/" + fd.Name()))
			if err != nil || target != n.dev || pid == s.id.pid {
				continue
			}
			comm, _ := s.text(proc + "/comm")
			users = append(users, fmt.Sprintf("%s (process %d)", comm, pid))
			if !watchers[comm] {
				level = Warn
				fix = append(fix, strconv.Itoa(pid))
			}
			break
		}
	}
	switch {
	case len(users) > 0:
		f.Level, f.Text = level, fmt.Sprintf("%s is open in %s", n.dev, strings.Join(users, ", "))
		if len(fix) > 0 {
			f.Fix = "stop it, or: sudo kill " + strings.Join(fix, " ")
		}
	case hidden > 0:
		f.Level = Unknown
		f.Text = fmt.Sprintf("%s is not open in any process of this user; %d processes of others could not be looked into", n.dev, hidden)
		f.Fix = "sudo framepipe doctor"
	case looked == 0:
		f.Level, f.Text = Unknown, n.dev+": /proc shows no processes, so who uses it is not known"
	default:
		f.Level, f.Text = OK, n.dev+" is not in use"
	}
	return f
}

// usbSpeed says how fast a USB camera is connected; false if it is not on USB.
func (s *system) usbSpeed(n node) (Finding, bool) {
	dir, err := filepath.EvalSymlinks(s.path(n.sysfs + "/device"))
	if n.sysfs == "" || err != nil {
		return Finding{}, false
	}
	// The node belongs to an interface of the USB device: one directory up.
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
		return strings.TrimSpace(string(b))
	}
	mbit, err := strconv.ParseFloat(read("speed"), 64)
	if err != nil {
		return Finding{}, false
	}
	f := Finding{Check: "usb-speed", Level: OK, Text: fmt.Sprintf("%s is connected at %g Mbit/s", n.dev, mbit)}
	switch {
	case mbit < 480:
		f.Level = Fail
		f.Text += ": USB 1, too slow for video"
		f.Fix = "use another port, cable or hub"
	case mbit == 480 && read("version") == "2.10":
		// A USB 3 device describes itself as 2.10 when it is on a USB 2 link
		// (USB 3.2 specification, section 9.2.6.6).
		f.Level = Warn
		f.Text += ", but it seems to be a USB 3 camera"
		f.Fix = "use a USB 3 port (blue) and a USB 3 cable"
	case mbit == 480:
		f.Text += " (USB 2: enough for MJPEG; raw 640x480 at 30 fps is near its limit)"
	}
	return f, true
}

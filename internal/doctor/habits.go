package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What cameras and codecs do that people take for a fault of the stream.

// exposureControls let a camera expose for longer than a frame lasts, in weak
// light, which halves its frame rate or worse: two names of
// V4L2_CID_EXPOSURE_AUTO_PRIORITY, the newer one first.
var exposureControls = []string{"exposure_dynamic_framerate", "exposure_auto_priority"}

// exposure looks whether a camera may slow down in the dark; false if it has no
// such control, or nobody knows.
func (s *system) exposure(n node, o Options) (Finding, bool) {
	if o.Controls == nil {
		return Finding{}, false
	}
	controls, err := o.Controls(n.dev)
	if err != nil {
		return Finding{}, false // permission and busy say why
	}
	for _, name := range exposureControls {
		v, ok := controls[name]
		if !ok {
			continue
		}
		f := Finding{Check: "exposure", Level: OK, Text: n.dev + " keeps its frame rate in the dark"}
		if v != 0 {
			f.Level = Warn
			f.Text = n.dev + " may halve its frame rate in weak light, to expose for longer"
			f.Fix = fmt.Sprintf("framepipe send --control %s=0 …, and more light", name)
		}
		return f, true
	}
	return Finding{}, false
}

// legacy recognises the camera stack that Raspberry Pi OS had before libcamera: it
// is an ordinary device here (bcm2835-v4l2), but excludes the newer one.
func (s *system) legacy(nodes []node) (Finding, bool) {
	for _, n := range nodes {
		if n.driver == "bcm2835-v4l2" || strings.HasPrefix(n.name, "mmal service") {
			return Finding{Check: "camera-stack", Level: Info,
				Text: n.dev + " is the Pi's camera behind the legacy stack: it works and gives JPEG from the GPU, but gets no more updates, and libcamera does not see the camera meanwhile",
				Fix:  "to change over: sudo raspi-config, Interface Options, Legacy Camera: No; then --source rpicam:0"}, true
		}
	}
	return Finding{}, false
}

// crowded finds cameras that share the bandwidth of one USB bus: the kernel refuses
// the second stream with ENOSPC when the first has reserved it.
func (s *system) crowded(nodes []node) []Finding {
	on := map[string][]string{} // cameras by bus
	var buses []string
	for _, n := range nodes {
		dir, err := filepath.EvalSymlinks(s.path(n.sysfs + "/device"))
		if n.sysfs == "" || err != nil {
			continue
		}
		for part := range strings.SplitSeq(filepath.ToSlash(dir), "/") {
			if number, ok := strings.CutPrefix(part, "usb"); ok && number != "" && strings.Trim(number, "0123456789") == "" {
				if on[part] == nil {
					buses = append(buses, part)
				}
				on[part] = append(on[part], n.dev)
				break
			}
		}
	}
	var all []Finding
	slices.Sort(buses)
	for _, bus := range buses {
		if devs := on[bus]; len(devs) > 1 {
			all = append(all, Finding{Check: "usb-bus", Level: Info,
				Text: strings.Join(devs, " and ") + " share " + bus + ": if one of them fails with \"no space left on device\", the bus has no bandwidth left",
				Fix:  "use MJPEG, a smaller picture or a lower rate, or ports of another bus (lsusb -t shows them)"})
		}
	}
	return all
}

// encoding says whether this machine can compress a raw camera's frames as fast as
// they come.
func encoding(o Options) (Finding, bool) {
	if o.Encode <= 0 {
		return Finding{}, false
	}
	rate := time.Second.Seconds() / o.Encode.Seconds()
	f := Finding{Check: "encoding", Level: OK, Text: fmt.Sprintf("one core compresses %.0f frames of 640x480 a second", rate)}
	if rate < 40 { // a camera's 30, and something left for sending
		f.Level = Warn
		f.Text += ": too slow for 30 raw frames a second"
		f.Fix = "take the camera's own JPEGs (`framepipe devices` shows whether it has them), a smaller picture, --format yuv if the link allows it, or: sudo apt install libturbojpeg0"
		if !o.Library {
			f.Fix += ", and a program that can use it: go build ./cmd/framepipe on this machine, with gcc"
		}
	}
	return f, true
}

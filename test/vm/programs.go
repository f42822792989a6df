//go:build linux

// Package vm tests framepipe on real kernel drivers, in virtual machines that
// package bench boots. Its tests need the tag vm (an amd64 machine) or vmpi (an
// emulated Raspberry Pi 3B); see README.md.
package vm

import (
	"os"
	"path/filepath"

	"framepipe/test/vm/bench"
)

// vividParams makes two vivid devices with one capture node each: input 0 is a
// webcam with fixed sizes, input 1 an HDMI receiver that scales to any size. The
// second speaks the multi-planar API.
var vividParams = map[string]string{"vivid": "n_devs=2 node_types=0x1,0x1 num_inputs=2,2 input_types=0xc,0xc multiplanar=1,2"}

// program is what is built for a guest.
type program struct {
	name, pkg string
	test      bool
}

var (
	agent      = program{"agent", "framepipe/test/vm/agent", false}
	usbcam     = program{"usbcam", "framepipe/test/vm/usbcam", false}
	framepipe  = program{"framepipe", "framepipe/cmd/framepipe", false}
	guestTests = program{"guest.test", "framepipe/test/vm/guest", true}
	layouts    = program{"layouts.test", "framepipe/v4l2", true}
)

// build compiles programs for target ("amd64", "arm/6" …) into dir and says
// where in the guest they belong.
func build(dir, target string, programs ...program) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, p := range programs {
		out := filepath.Join(dir, p.name)
		if err := bench.Build(out, target, p.pkg, p.test, "vmguest"); err != nil {
			return nil, err
		}
		files["/bin/"+p.name] = out
	}
	return files, nil
}

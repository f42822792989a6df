//go:build linux && vm

package vm

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLayoutsOnOtherProcessors runs package v4l2's tests of the kernel's struct
// layouts as programs of the other architectures. That the kernel understands
// them is shown on the emulated Pi.
func TestLayoutsOnOtherProcessors(t *testing.T) {
	for _, tc := range []struct {
		target string
		run    []string
	}{
		{"arm/6", []string{"qemu-arm-static", "-cpu", "arm1176"}}, // Pi 1 and Zero
		{"arm/7", []string{"qemu-arm-static"}},
		{"arm64", []string{"qemu-aarch64-static"}},
	} {
		t.Run(tc.target, func(t *testing.T) {
			files, err := build(t.TempDir(), tc.target, layouts)
			if err != nil {
				t.Fatal(err)
			}
			bin := files["/bin/"+layouts.name]
			cmd := exec.Command(tc.run[0], append(tc.run[1:], bin, "-test.v")...)
			cmd.Dir = filepath.Dir(bin)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestLayouts") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

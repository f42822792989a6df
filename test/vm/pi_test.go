//go:build linux && vmpi

package vm

import (
	"context"
	"strings"
	"testing"
	"time"

	"framepipe/test/vm/bench"
)

// TestPi runs tests on an emulated Raspberry Pi 3B: Debian's arm64 kernel, whose
// 32-bit system calls the arm binaries use, on the real vivid driver. The whole
// of the guest's tests would take too long here.
func TestPi(t *testing.T) {
	files := map[string]string{}
	targets := []struct{ target, name string }{{"arm64", "arm64"}, {"arm/7", "armv7"}, {"arm/6", "armv6"}}
	for _, tc := range targets {
		built, err := build(t.TempDir(), tc.target, guestTests, layouts)
		if err != nil {
			t.Fatal(err)
		}
		files["/bin/guest-"+tc.name] = built["/bin/guest.test"]
		files["/bin/layouts-"+tc.name] = built["/bin/layouts.test"]
	}
	base, err := build(t.TempDir(), "arm64", agent, usbcam)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range base {
		files[k] = v
	}
	start := time.Now()
	m, err := bench.Start(t.Context(), bench.Config{Arch: "arm64", Files: files, Boot: 5 * time.Minute,
		Modules: []string{"vivid", "vhci-hcd", "uvcvideo"}, Params: vividParams})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	t.Logf("up after %v", time.Since(start).Round(time.Second))
	for _, tc := range targets {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, code, err := m.Run(ctx, "/bin/layouts-"+tc.name, "-test.v")
			if err != nil || code != 0 || !strings.Contains(out, "--- PASS: TestLayouts") {
				t.Errorf("layouts: exit %d, %v\n%s", code, err, out)
			}
			for _, n := range everyIoctl {
				t.Run(n, func(t *testing.T) { inGuest(t, m, "/bin/guest-"+tc.name, n) })
			}
		})
	}
	if t.Failed() {
		t.Logf("console:\n%s", m.Console())
	}
}

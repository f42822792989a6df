//go:build linux && vm

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/test/vm/bench"
)

// machine is one for all tests: booting is what takes longest.
var (
	machine *bench.Machine
	share   string // appears as /host
	guest   string // the guest's tests, on the host's side
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	start := time.Now()
	dir, err := os.MkdirTemp("", "framepipe-vmtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	share = filepath.Join(dir, "share")
	if err := os.Mkdir(share, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	files, err := build(dir, "amd64", agent, usbcam, framepipe, guestTests)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	guest = files["/bin/guest.test"]
	short, err := build(filepath.Join(dir, "386"), "386", guestTests, layouts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	files["/bin/guest-386"], files["/bin/layouts-386"] = short["/bin/guest.test"], short["/bin/layouts.test"]
	machine, err = bench.Start(context.Background(), bench.Config{Arch: "amd64", Share: share, Files: files, Boot: 3 * time.Minute,
		Modules: []string{"vivid", "vhci-hcd", "uvcvideo"}, Params: vividParams})
	if err != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		return 1
	}
	defer machine.Close()
	fmt.Printf("machine up %v after the start of the tests, %v after power on by its own clock\n", time.Since(start).Round(100*time.Millisecond), machine.Uptime.Round(100*time.Millisecond))
	return m.Run()
}

// TestGuest runs every test of package guest inside the machine.
func TestGuest(t *testing.T) {
	names, err := exec.Command(guest, "-test.list", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(names))
	if len(list) < 20 {
		t.Fatalf("the guest's tests are %q", list)
	}
	for _, n := range list {
		t.Run(n, func(t *testing.T) { inGuest(t, machine, "/bin/guest.test", n) })
	}
	if t.Failed() {
		t.Logf("console:\n%s", machine.Console())
	}
}

// Test32Bit runs 32-bit binaries, whose structs the kernel's compatibility layer
// translates, as it does for those of a 32-bit Raspberry Pi OS on a 64-bit kernel.
func Test32Bit(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, code, err := machine.Run(ctx, "/bin/layouts-386", "-test.v")
	if err != nil || code != 0 || !strings.Contains(out, "--- PASS: TestLayouts") {
		t.Errorf("layouts: exit %d, %v\n%s", code, err, out)
	}
	for _, n := range everyIoctl {
		t.Run(n, func(t *testing.T) { inGuest(t, machine, "/bin/guest-386", n) })
	}
}

// TestPrograms: output, exit status and killing, as tests of whole programs
// need them.
func TestPrograms(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, code, err := machine.Run(ctx, "/bin/usbcam", "-quirk", "nonsense")
	if err != nil || code != 1 || !strings.Contains(out, "nonsense") {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if _, code, err := machine.Run(ctx, "/bin/absent"); err == nil || code != 127 {
		t.Errorf("a program that is not there: exit %d, %v", code, err)
	}
	p, err := machine.Go("/bin/usbcam")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		t.Fatal("a killed program goes on")
	}
}

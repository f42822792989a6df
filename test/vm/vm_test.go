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
	share   string
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
	files, err := programs(dir, "amd64")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	guest = files["/bin/guest.test"]
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	machine, err = bench.Start(ctx, bench.Config{Arch: "amd64", Share: share, Files: files, Boot: 3 * time.Minute,
		Modules: []string{"vivid", "vhci-hcd", "uvcvideo"}, Params: vividParams})
	if err != nil {
		fmt.Fprintln(os.Stderr, "boot:", err)
		return 1
	}
	defer machine.Close()
	fmt.Printf("machine up %v after the start of the tests, %v after power on by its own clock\n", time.Since(start).Round(100*time.Millisecond), machine.Uptime.Round(100*time.Millisecond))
	return m.Run()
}

// inGuest runs one of the guest's tests as a test of the host.
func inGuest(t *testing.T, m *bench.Machine, program, name string) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	out, code, err := m.Run(ctx, program, "-test.run", "^"+name+"$", "-test.v", "-test.timeout", "80s", "-test.count", cmpOr(os.Getenv("GUEST_COUNT"), "1"))
	switch {
	case err != nil || code != 0:
		t.Errorf("%s: exit %d, %v\n%s", program, code, err, out)
	case !strings.Contains(out, "--- PASS: "+name+" "):
		t.Errorf("%s did not run %s\n%s", program, name, out)
	case testing.Verbose():
		t.Log(out)
	}
}

// TestGuest runs every test of package guest inside the machine.
func TestGuest(t *testing.T) {
	names, err := exec.Command(guest, "-test.list", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(names))
	if len(list) < 5 {
		t.Fatalf("the guest's tests are %q", list)
	}
	for _, n := range list {
		t.Run(n, func(t *testing.T) { inGuest(t, machine, "/bin/guest.test", n) })
	}
	if t.Failed() {
		t.Logf("console:\n%s", machine.Console())
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

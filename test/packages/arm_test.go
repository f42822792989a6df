//go:build packages

package packages

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The ARM packages in Debians of their kind, emulated by qemu-user: their whole
// life as files, and the program itself says who it is and looks at its machine.
// armhf has the ARMv6 binary, for the Pi 1 and Zero.
func TestARMPackages(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH == "arm64" {
		t.Skip("needs Linux, and another processor than ARM")
	}
	for _, a := range []struct {
		arch, qemu, platform string
		more                 []string
	}{{"arm64", "aarch64", "linux-arm64", board}, {"armhf", "arm", "linux-armv6", nil}} {
		t.Run(a.arch, func(t *testing.T) {
			emulate(t, a.qemu)
			r := newRoot(t, a.arch, a.more...)
			older, newer := build(t, "0.1.0", a.platform, a.arch), build(t, "0.2.0", a.platform, a.arch)
			r.life(older, newer)
			r.install(newer)
			if out := r.in("sh", "-c", "framepipe doctor --json || test $? = 1"); !strings.Contains(out, `"`) {
				t.Errorf("doctor says %s", out)
			}
			if out := r.in("framepipe", "demo", "--for", "3s", "--http", "127.0.0.1:0", "-W", "160", "-H", "120", "--fps", "5"); !strings.Contains(out, "0 lost") && !strings.Contains(out, "delivered") {
				t.Errorf("demo says %s", out)
			}
		})
	}
}

// emulate has the kernel run programs of another processor, for the test's time.
func emulate(t *testing.T, processor string) {
	t.Helper()
	const dir = "/proc/sys/fs/binfmt_misc"
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	need(t, "qemu-"+processor+"-static", "qemu-user-static")
	if _, err := os.Stat(filepath.Join(dir, "register")); err != nil {
		run(t, "mount", "-t", "binfmt_misc", "binfmt_misc", dir)
		t.Cleanup(func() { run(t, "umount", dir) })
	}
	entry := filepath.Join(dir, "qemu-"+processor)
	if _, err := os.Stat(entry); err == nil {
		return
	}
	rule, err := os.ReadFile("/usr/lib/binfmt.d/qemu-" + processor + ".conf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "register"), rule, 0o200); err != nil {
		t.Fatalf("binfmt_misc: %v", err)
	}
	t.Cleanup(func() { os.WriteFile(entry, []byte("-1"), 0o200) })
}

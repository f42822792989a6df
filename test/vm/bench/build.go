//go:build linux

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"framepipe/test/release"
)

// Build compiles a static program for the guest: a main package, or with test a
// package's tests. target is GOARCH, with GOARM behind a slash ("arm/6").
func Build(out, target, pkg string, test bool, tags ...string) error {
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	args = append(append(args, "-ldflags=-s -w"), release.Flags(tags...)...)
	arch, arm, _ := strings.Cut(target, "/")
	cmd := exec.Command("go", append(args, "-o", out, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if arm != "" {
		cmd.Env = append(cmd.Env, "GOARM="+arm)
	}
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s: %w\n%s", pkg, target, err, b)
	}
	return nil
}

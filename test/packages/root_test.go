package packages

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const suite = "bookworm"

const patience = 60 * time.Second // the machine may be busy

// cache is where roots are kept as archives, in the working tree.
var cache = filepath.Join("..", "..", ".cache", "roots")

func need(t *testing.T, name, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s (apt-get install %s)", name, pkg)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// command has no language and asks no questions.
func command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return cmd
}

// root is a Debian in a folder.
type root struct {
	*testing.T
	dir string
}

// newRoot unpacks a clean Debian with systemd; the first time it is made, from
// Debian's packages, and kept as an archive. More are packages that it is to have.
func newRoot(t *testing.T, arch string, more ...string) *root {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	need(t, "mmdebstrap", "mmdebstrap")
	archive := filepath.Join(cache, strings.Join(append([]string{suite, arch}, more...), "-")+".tar")
	if fi, err := os.Stat(archive); err != nil || time.Since(fi.ModTime()) > 30*24*time.Hour {
		if err := os.MkdirAll(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		part := archive + ".part.tar"
		run(t, "mmdebstrap", "--mode=root", "--variant=essential", "--include="+strings.Join(append([]string{"systemd,systemd-sysv,dbus,passwd"}, more...), ","), "--architectures="+arch,
			"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/framepipe/*",
			"--dpkgopt=force-unsafe-io", `--aptopt=Acquire::Languages "none"`, suite, part, mirror(t))
		if err := os.Rename(part, archive); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "framepipe-root-") // t.TempDir is not for device files
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run(t, "tar", "-C", dir, "--numeric-owner", "-xf", archive)
	return &root{t, dir}
}

// mirror is where this machine has its packages from, as a line of sources.list:
// the release alone, which never changes while a mirror is being updated.
func mirror(t *testing.T) string {
	t.Helper()
	out := run(t, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Codename: "+suite, "Component: main")
	uri, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	if uri == "" {
		t.Skipf("this machine has no packages of Debian's %s: not in its apt sources", suite)
	}
	return "deb " + uri + " " + suite + " main"
}

// in runs a command in the root that must succeed.
func (r *root) in(name string, args ...string) string {
	r.Helper()
	return run(r.T, "chroot", append([]string{r.dir, name}, args...)...)
}

// install takes a package of this machine.
func (r *root) install(deb string) {
	r.Helper()
	r.copy(deb, "/tmp/framepipe.deb")
	r.in("dpkg", "-i", "/tmp/framepipe.deb")
}

func (r *root) copy(from, to string) {
	r.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		r.Fatal(err)
	}
	r.write(to, b)
}

func (r *root) write(name string, b []byte) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), b, 0o755); err != nil {
		r.Fatal(err)
	}
}

func (r *root) read(name string) string {
	r.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.Error(err)
	}
	return string(b)
}

func (r *root) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(r.dir, name))
	return err == nil
}

// build makes the Debian package of a version, and returns its path.
func build(t *testing.T, version, platform, arch string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "run", "./test/dist", "-version", version, "-only", platform, "-o", dir)
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("test/dist: %v\n%s", err, out)
	}
	if sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); err != nil || bytes.Count(sums, []byte("\n")) != 3 {
		t.Errorf("SHA256SUMS has not one line each of binary, SBOM and package: %s", sums)
	}
	return filepath.Join(dir, fmt.Sprintf("framepipe_%s.deb", arch))
}

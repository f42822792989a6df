//go:build linux

package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// kernel is an unpacked Debian kernel package.
type kernel struct {
	dir     string // the package's files
	version string // "6.1.0-56-amd64"
	image   string // what QEMU boots
}

// cacheDir is where kernels are kept between runs.
func cacheDir() (string, error) {
	if d := os.Getenv("FRAMEPIPE_CACHE"); d != "" {
		return filepath.Join(d, "vm"), nil
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(d, "framepipe", "vm"), nil
}

// fetchKernel makes the kernel available that Debian's metapackage for arch
// points to. Nothing is installed; a foreign arch's package is found through a
// private apt configuration, so that the machine's own stays as it is.
func fetchKernel(arch string) (*kernel, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	apt := aptFor(cache, arch)
	pkg, err := apt.kernelPackage(arch)
	if err != nil {
		// Without a package index (no network) an earlier kernel serves.
		old, _ := filepath.Glob(filepath.Join(cache, "linux-image-*-"+arch))
		if len(old) == 0 {
			return nil, err
		}
		sort.Strings(old)
		pkg = filepath.Base(old[len(old)-1])
	}
	k := &kernel{dir: filepath.Join(cache, pkg), version: strings.TrimPrefix(pkg, "linux-image-")}
	if _, err := os.Stat(k.dir); err != nil {
		if err := apt.unpack(pkg, arch, k.dir); err != nil {
			return nil, fmt.Errorf("fetch %s: %w", pkg, err)
		}
	}
	k.image = filepath.Join(k.dir, "boot", "vmlinuz-"+k.version)
	if arch == "amd64" {
		return k, k.extract()
	}
	return k, nil
}

// unpack downloads a package and puts its files into dir, all or nothing.
func (a apt) unpack(pkg, arch, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := a.run(tmp, "apt-get", "download", "-q", pkg+":"+arch); err != nil {
		return err
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != 1 {
		return fmt.Errorf("apt-get download left %d files", len(debs))
	}
	root := filepath.Join(tmp, "root")
	if err := a.run(tmp, "dpkg", "-x", debs[0], root); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// extract turns the compressed amd64 image into the ELF file inside it, which
// QEMU boots directly (PVH): unpacking is what takes longest in an emulated boot.
func (k *kernel) extract() error {
	out := filepath.Join(k.dir, "vmlinux")
	if _, err := os.Stat(out); err == nil {
		k.image = out
		return nil
	}
	b, err := os.ReadFile(k.image)
	if err != nil {
		return err
	}
	if len(b) < 0x250 {
		return errors.New("kernel image too short")
	}
	// Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length.
	sects := int(b[0x1f1])
	if sects == 0 {
		sects = 4
	}
	lo := (sects+1)*512 + int(binary.LittleEndian.Uint32(b[0x248:]))
	hi := lo + int(binary.LittleEndian.Uint32(b[0x24c:]))
	if lo < 0 || hi > len(b) || lo >= hi {
		return errors.New("kernel image has no payload")
	}
	cmd := exec.Command("xz", "-dc", "--single-stream")
	switch p := b[lo:hi]; {
	case bytes.HasPrefix(p, []byte("\xfd7zXZ\x00")):
	case bytes.HasPrefix(p, []byte("\x28\xb5\x2f\xfd")):
		cmd = exec.Command("zstd", "-dc")
	default:
		return nil // booted as it is, more slowly
	}
	cmd.Stdin = bytes.NewReader(b[lo:hi])
	data, _ := cmd.Output() // the payload ends in a size that is no part of the stream
	if !bytes.HasPrefix(data, []byte("\x7fELF")) {
		return fmt.Errorf("%v: no ELF file in the kernel image", cmd.Args)
	}
	if err := os.WriteFile(out+".tmp", data, 0o644); err != nil {
		return err
	}
	k.image = out
	return os.Rename(out+".tmp", out)
}

// apt runs apt commands, with a configuration of our own for a foreign
// architecture.
type apt struct{ conf string }

func aptFor(cache, arch string) apt {
	if out, err := exec.Command("dpkg", "--print-architecture").Output(); err == nil && strings.TrimSpace(string(out)) == arch {
		return apt{}
	}
	return apt{conf: filepath.Join(cache, "apt-"+arch)}
}

func (a apt) run(dir, name string, args ...string) error {
	_, err := a.output(dir, name, args...)
	return err
}

func (a apt) output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if a.conf != "" {
		cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.conf, "apt.conf"))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

func (a apt) kernelPackage(arch string) (string, error) {
	if a.conf != "" {
		if err := a.prepare(arch); err != nil {
			return "", err
		}
	}
	out, err := a.output("", "apt-cache", "depends", "linux-image-"+arch+":"+arch)
	if err != nil {
		return "", err
	}
	for _, w := range strings.Fields(out) {
		w, _, _ = strings.Cut(w, ":")
		if strings.HasPrefix(w, "linux-image-") && w != "linux-image-"+arch {
			return w, nil
		}
	}
	return "", fmt.Errorf("linux-image-%s depends on no kernel", arch)
}

// prepare writes a configuration that sees arch's packages, and fetches their
// index once.
func (a apt) prepare(arch string) error {
	conf := filepath.Join(a.conf, "apt.conf")
	if _, err := os.Stat(filepath.Join(a.conf, "ready")); err == nil {
		return nil
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.conf, d), 0o755); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("APT::Architecture \"%s\";\nAPT::Architectures { \"%s\"; };\nDir::State \"%s\";\nDir::State::Lists \"%s/lists\";\nDir::State::status \"%s/status\";\nDir::Cache \"%s/cache\";\nAPT::Sandbox::User \"root\";\n",
		arch, arch, a.conf, a.conf, a.conf, a.conf)
	if err := os.WriteFile(filepath.Join(a.conf, "status"), nil, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	if err := a.run("", "apt-get", "update", "-q"); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(a.conf, "ready"), nil, 0o644)
}

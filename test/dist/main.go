// Command dist builds the release: one static binary for each supported
// platform, Debian packages, a list of what is in each binary (a CycloneDX SBOM),
// and SHA256SUMS beside them.
//
// It opens every Linux binary again and fails if one asks for a dynamic loader
// or a shared library, because the promise is one file that is copied to a
// Raspberry Pi of any age and runs; and if one has more than 15 MB. The test runner builds into a scratch
// directory with the same program, so what is shipped is what was checked.
package main

import (
	"crypto/sha256"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	goversion "go/version"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"framepipe/test/docs"
	"framepipe/test/release"
)

type target struct{ name, os, arch, arm string }

// The platforms, by the names that their files get. GOARM=6 is for the Pi 1 and
// Zero, GOARM=7 for 32-bit systems on anything newer.
var targets = []target{
	{"linux-amd64", "linux", "amd64", ""},
	{"linux-arm64", "linux", "arm64", ""},
	{"linux-armv6", "linux", "arm", "6"},
	{"linux-armv7", "linux", "arm", "7"},
	{"darwin-amd64", "darwin", "amd64", ""},
	{"darwin-arm64", "darwin", "arm64", ""},
	{"windows-amd64", "windows", "amd64", ""},
}

// quick is for tests, which have built packages for the other platforms already.
var quick bool

// mostBytes is how large the program may be: it is copied to small machines.
const mostBytes = int64(15e6)

func main() {
	version := flag.String("version", "devel", "version `string` that the binaries report")
	out := flag.String("o", "dist", "output `directory`")
	only := flag.String("only", "", "build for this `platform` only, as linux-amd64, and its Debian package")
	here := flag.String("here", "", "build for this machine only, into this `file`, and nothing beside it")
	flag.BoolVar(&quick, "quick", false, "leave out the platforms that differ from another one by GOARM or by the processor of a Mac")
	goRelease := flag.String("go", "", "a Go `release`, as go1.26.1, that is to be used if this machine's is older; empty = this machine's")
	flag.Parse()
	err := useGo(*goRelease)
	switch {
	case err != nil:
	case *here != "":
		err = release.Build(*here, *version)
	default:
		err = run(*version, *out, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// useGo has all that is started from here use a Go release, since the standard library
// is part of what is shipped.
func useGo(release string) error {
	of := func() string {
		out, _ := exec.Command("go", "env", "GOVERSION").Output()
		return strings.TrimSpace(string(out))
	}
	if release == "" || goversion.Compare(of(), release) >= 0 {
		return nil
	}
	if err := os.Setenv("GOTOOLCHAIN", release); err != nil {
		return err
	}
	if got := of(); got != release {
		return fmt.Errorf("releases are made with %s, which the go command cannot fetch here: go env GOVERSION says %q", release, got)
	}
	return nil
}

func run(version, out, only string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var sums, made []string
	for _, t := range targets {
		if only != "" && t.name != only || quick && (t.name == "linux-armv7" || t.name == "darwin-amd64") {
			continue
		}
		path := filepath.Join(out, "framepipe-"+t.name)
		if t.os == "windows" {
			path += ".exe"
		}
		if err := release.Build(path, version, "GOOS="+t.os, "GOARCH="+t.arch, "GOARM="+t.arm); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if t.os == "linux" {
			if err := checkStatic(path); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		sum, size, err := digest(path)
		if err != nil {
			return err
		}
		if size > mostBytes {
			return fmt.Errorf("%s has %d bytes, more than the %d that are promised; see test/release", path, size, mostBytes)
		}
		sums = append(sums, sum+"  "+filepath.Base(path)+"\n")
		fmt.Printf("%-32s %5.1f MB\n", path, float64(size)/1e6)
		made = append(made, path)
	}
	more, err := bills(version, made)
	if err != nil {
		return fmt.Errorf("SBOM: %w", err)
	}
	debs, err := packages(version, out)
	if err != nil {
		return fmt.Errorf("packages for Debian: %w", err)
	}
	for _, path := range append(more, debs...) {
		sum, _, err := digest(path)
		if err != nil {
			return err
		}
		sums = append(sums, sum+"  "+filepath.Base(path)+"\n")
	}
	sort.Strings(sums)
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(strings.Join(sums, "")), 0o644)
}

// packages has the Debian packages made, by a module of its own (test/dist/deb),
// with man pages and completion from a binary of this machine. It returns their paths.
func packages(version, out string) ([]string, error) {
	dir, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "dist")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	host := filepath.Join(scratch, "framepipe.exe") // a name that every system runs
	if err := release.Build(host, version); err != nil {
		return nil, err
	}
	if err := manPages(host, version, scratch); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "run", "-C", "test/dist/deb", ".", "-version", version, "-bin", dir, "-run", host, "-man", scratch)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(dir, "framepipe_*.deb"))
}

// manPages writes a page for each command of a program.
func manPages(program, version, dir string) error {
	all, err := docs.Ask(program)
	if err != nil {
		return err
	}
	for _, h := range all {
		name, text := docs.ManPage(h, version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bills writes what each binary was made of, read from the binary itself: its
// modules with their versions, and the Go release. It returns the files' paths.
func bills(version string, binaries []string) ([]string, error) {
	var made []string
	for _, path := range binaries {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		bill := abs + ".cdx.json"
		cmd := exec.Command("go", "tool", "-C", "test/dist/deb", "cyclonedx-gomod", "bin", "-json", "-std", "-noserial", "-notimestamp", "-version", version, "-output", bill, abs)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		made = append(made, bill)
	}
	return made, nil
}

// checkStatic fails if the kernel would need anything but this file to run it.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("not static: it asks for a dynamic loader")
		}
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	if len(libs) > 0 {
		return fmt.Errorf("not static: it needs %s", strings.Join(libs, ", "))
	}
	return nil
}

func digest(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), size, err
}

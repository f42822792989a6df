// Command deb makes the Debian packages out of the binaries that test/dist has
// built. It is a module of its own, because nfpm brings some forty modules (git,
// OpenPGP, templates) that the program and its tests do not need.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
)

// armhf takes the armv6 binary, because Raspberry Pi OS calls the Pi 1 and Zero
// armhf too.
var arches = []struct{ deb, binary string }{{"amd64", "linux-amd64"}, {"arm64", "linux-arm64"}, {"armhf", "linux-armv6"}}

func main() {
	version := flag.String("version", "devel", "version `string`")
	bin := flag.String("bin", "", "`directory` of the binaries, where the packages go too")
	host := flag.String("run", "", "a framepipe `binary` that runs here, for completion")
	man := flag.String("man", "", "`directory` of the man pages")
	flag.Parse()
	if err := run(*version, *bin, *host, *man); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(version, bin, host, man string) error {
	scratch, err := os.MkdirTemp("", "deb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := generate(scratch, host, man); err != nil {
		return err
	}
	for _, a := range arches {
		if _, err := os.Stat(filepath.Join(bin, "framepipe-"+a.binary)); errors.Is(err, os.ErrNotExist) {
			continue // it was not asked for
		}
		env := map[string]string{"ARCH": a.deb, "VERSION": debVersion(version), "GEN": scratch, "BIN": filepath.Join(bin, "framepipe-"+a.binary)}
		f, err := os.Open("nfpm.yaml")
		if err != nil {
			return err
		}
		conf, err := nfpm.ParseWithEnvMapping(f, func(k string) string { return env[k] })
		f.Close()
		if err != nil {
			return err
		}
		info, err := conf.Get("deb")
		if err != nil {
			return err
		}
		info = nfpm.WithDefaults(info)
		if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
			return err
		}
		p, err := nfpm.Get("deb")
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := p.Package(info, &out); err != nil {
			return err
		}
		path := filepath.Join(bin, "framepipe_"+a.deb+".deb")
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Printf("%-32s %5.1f MB\n", path, float64(out.Len())/1e6)
	}
	return nil
}

// debVersion turns what git describe says into a version that dpkg takes: it
// begins with a digit, and a hyphen would begin a revision.
func debVersion(v string) string {
	v = strings.ReplaceAll(strings.TrimPrefix(v, "v"), "-", "+")
	if v == "" || !strings.Contains(v, ".") {
		return "0.0~" + v
	}
	return v
}

// generate writes completions, from what the program says itself, and packs the man
// pages.
func generate(dir, host, man string) error {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, err := exec.Command(host, "completion", shell).Output()
		if err != nil {
			return fmt.Errorf("completion %s: %w", shell, err)
		}
		if err := os.WriteFile(filepath.Join(dir, shell), out, 0o644); err != nil {
			return err
		}
	}
	pages, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil || len(pages) == 0 {
		return fmt.Errorf("no man pages in %q: %w", man, err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		z.Write(text)
		if err := z.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(page)+".gz"), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

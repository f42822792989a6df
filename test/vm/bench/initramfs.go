//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeInitramfs packs the programs and the modules.
func writeInitramfs(path string, k *kernel, cfg Config) error {
	names := cfg.Modules
	switch {
	case cfg.Card != "":
		names = append([]string{"bcm2835_wdt", "bcm2835", "sdhci-iproc", "crc32c_generic", "ext4"}, names...)
	case cfg.Arch == "arm64":
		names = append([]string{"bcm2835_wdt"}, names...) // what powers a Pi off
	case cfg.Share != "":
		names = append([]string{"virtio_pci", "9pnet_virtio", "9p"}, names...)
	}
	all, err := findModules(filepath.Join(k.dir, "lib", "modules", k.version))
	if err != nil {
		return err
	}
	mods, err := all.closure(names)
	if err != nil {
		return err
	}
	var a archive
	for _, d := range []string{"bin", "dev", "proc", "sys", "tmp", "modules", "root"} {
		a.dir(d)
	}
	if cfg.Share != "" {
		a.dir("host")
	}
	var list strings.Builder
	for _, mod := range mods {
		fmt.Fprintf(&list, "%s %s\n", mod.name, cfg.Params[mod.name])
		a.file("modules/"+mod.name, mod.data)
	}
	a.file("modules/list", []byte(list.String()))
	a.link("init", "/bin/agent")
	for guest, host := range cfg.Files {
		b, err := os.ReadFile(host)
		if err != nil {
			return err
		}
		a.file(strings.TrimPrefix(guest, "/"), b)
	}
	return os.WriteFile(path, a.bytes(), 0o600)
}

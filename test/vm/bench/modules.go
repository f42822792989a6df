//go:build linux

package bench

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modules finds kernel modules in an unpacked image package and what they depend
// on. It reads the modules' own .modinfo, so that depmod is not needed.
type modules struct {
	files map[string]string // canonical name -> path
}

func findModules(root string) (*modules, error) {
	m := &modules{files: map[string]string{}}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base, _, ok := strings.Cut(d.Name(), ".ko"); ok && d.Type().IsRegular() {
			m.files[canonical(base)] = p
		}
		return nil
	})
	if err == nil && len(m.files) == 0 {
		err = fmt.Errorf("no kernel modules below %s", root)
	}
	return m, err
}

// InstallModules copies modules of the kernel that Start boots, and what they depend
// on, into a root, whose own depmod is then to be run; it returns the kernel's version.
func InstallModules(arch, root string, names ...string) (version string, err error) {
	k, err := fetchKernel(arch)
	if err != nil {
		return "", err
	}
	from := filepath.Join("lib", "modules", k.version)
	all, err := findModules(filepath.Join(k.dir, from))
	if err != nil {
		return "", err
	}
	mods, err := all.closure(names)
	if err != nil {
		return "", err
	}
	to := filepath.Join(root, from)
	if err := os.MkdirAll(filepath.Join(to, "kernel"), 0o755); err != nil {
		return "", err
	}
	for _, m := range mods {
		if err := os.WriteFile(filepath.Join(to, "kernel", m.name+".ko"), m.data, 0o644); err != nil {
			return "", err
		}
	}
	for _, list := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} { // what depmod reads
		b, err := os.ReadFile(filepath.Join(k.dir, from, list))
		if err != nil && list != "modules.order" {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(to, list), b, 0o644); err != nil {
			return "", err
		}
	}
	return k.version, nil
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// module is a loadable file's name and contents.
type module struct {
	name string
	data []byte
}

// closure gives the named modules and their dependencies, each after what it
// needs. Modules that the kernel has built in are left out.
func (m *modules) closure(names []string) ([]module, error) {
	var out []module
	state := map[string]int{} // 1 = being visited, 2 = done
	var visit func(name string, optional bool) error
	visit = func(name string, optional bool) error {
		name = canonical(name)
		if state[name] != 0 {
			return nil
		}
		state[name] = 1
		path, ok := m.files[name]
		if !ok {
			if optional {
				return nil
			}
			return fmt.Errorf("the kernel package has no module %s", name)
		}
		data, err := readModule(path)
		if err != nil {
			return err
		}
		deps, err := depends(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, d := range deps {
			if err := visit(d, true); err != nil {
				return err
			}
		}
		state[name] = 2
		out = append(out, module{name, data})
		return nil
	}
	for _, n := range names {
		if err := visit(n, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readModule(path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return exec.Command("xz", "-dc", path).Output()
	}
	return os.ReadFile(path)
}

func depends(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("no .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	var deps []string
	for _, e := range strings.Split(string(info), "\x00") {
		if v, ok := strings.CutPrefix(e, "depends="); ok && v != "" {
			deps = append(deps, strings.Split(v, ",")...)
		}
	}
	return deps, nil
}

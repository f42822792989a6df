//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Devices lists the nodes /dev/video* in the order of their numbers, whatever
// they are for: see Capability.IsCapture. Nodes that cannot be opened are listed
// with their name and no capabilities.
func Devices() ([]DeviceInfo, error) {
	paths, err := filepath.Glob("/dev/video[0-9]*")
	if err != nil {
		return nil, err
	}
	sort.Slice(paths, func(i, j int) bool { return number(paths[i]) < number(paths[j]) })
	var out []DeviceInfo
	for _, p := range paths {
		di := DeviceInfo{Path: p}
		if b, err := os.ReadFile("/sys/class/video4linux/" + filepath.Base(p) + "/name"); err == nil {
			di.Name = strings.TrimSpace(string(b))
		}
		if fd, err := open(p); err == nil {
			if c, err := queryCap(fd); err == nil {
				di.Capability = c
				if di.Name == "" {
					di.Name = c.Card
				}
			}
			unix.Close(fd)
		}
		out = append(out, di)
	}
	return out, nil
}

func number(p string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(p, "/dev/video"))
	if err != nil {
		return 1 << 30
	}
	return n
}

package app

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory tells the garbage collector to work harder before this program takes
// more than half of the machine's memory, or of what its control group may have: a
// Pi Zero has 512 MB, and who streams from it wants the rest for the camera. In
// ordinary work a tenth of that is not reached. GOMEMLIMIT in the environment
// decides instead, where it is set.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	total := int64(math.MaxInt64)
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if n := memTotal(b); n > 0 {
			total = n
		}
	}
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 { // else "max"
			total = min(total, n)
		}
	}
	if total < math.MaxInt64 {
		debug.SetMemoryLimit(total / 2)
	}
}

// memTotal reads /proc/meminfo, in bytes; 0 = it does not say. See proc(5).
func memTotal(meminfo []byte) int64 {
	_, rest, ok := bytes.Cut(meminfo, []byte("MemTotal:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(line)), " kB"), 10, 64)
	if !ok || err != nil {
		return 0
	}
	return n << 10
}

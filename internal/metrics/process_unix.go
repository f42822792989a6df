//go:build linux || darwin

package metrics

import (
	"os"

	"golang.org/x/sys/unix"
)

func (p *page) process() {
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) == nil {
		p.put(processCPU, float64(use.Utime.Nano()+use.Stime.Nano())/1e9)
	}
	if dir, err := os.Open("/dev/fd"); err == nil { // on Linux a link to /proc/self/fd
		if names, err := dir.Readdirnames(-1); err == nil {
			p.put(processFiles, float64(len(names)-1)) // without dir
		}
		dir.Close()
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		p.put(processMaxFiles, float64(limit.Cur))
	}
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil {
		p.put(processMaxVirt, float64(limit.Cur))
	}
	p.memory()
}

package metrics

import (
	"os"

	"golang.org/x/sys/unix"
)

// memory tells only when the process began: how much memory it has, macOS tells to C.
func (p *page) memory() {
	if k, err := unix.SysctlKinfoProc("kern.proc.pid", os.Getpid()); err == nil {
		p.put(processStart, float64(k.Proc.P_starttime.Nano())/1e9)
	}
}

package metrics

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// memory reads /proc/self/stat (proc(5)): fields are counted from 1, and the second,
// the program's name in brackets, may contain anything.
func (p *page) memory() {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	const third, start, virtual, resident = 3, 22, 23, 24
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	field := func(n int) (float64, bool) {
		if n-third >= len(fields) {
			return 0, false
		}
		v, err := strconv.ParseFloat(fields[n-third], 64)
		return v, err == nil
	}
	if v, ok := field(virtual); ok {
		p.put(processVirtual, v)
	}
	if v, ok := field(resident); ok {
		p.put(processResident, v*float64(os.Getpagesize()))
	}
	const ticks = 100 // a second: USER_HZ, the same on all that Go runs on
	if v, ok := field(start); ok && bootTime() > 0 {
		p.put(processStart, bootTime()+v/ticks)
	}
}

// bootTime is when the system started, in seconds since 1970; 0 where it is not told.
// It is read once: with a clock that is set it changes, and the process did not start
// anew for that.
var bootTime = sync.OnceValue(func() float64 {
	text, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return n
		}
	}
	return 0
})

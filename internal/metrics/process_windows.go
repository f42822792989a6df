package metrics

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	getProcessMemoryInfo  = windows.NewLazySystemDLL("psapi.dll").NewProc("GetProcessMemoryInfo")
	getProcessHandleCount = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount")
)

// memoryCounters is PROCESS_MEMORY_COUNTERS_EX of psapi.h.
type memoryCounters struct {
	size, pageFaults           uint32
	peakWorkingSet, workingSet uintptr
	quotas                     [4]uintptr
	pagefile, peakPagefile     uintptr
	private                    uintptr
}

func (p *page) process() {
	h := windows.CurrentProcess()
	var created, exited, kernel, user windows.Filetime
	if windows.GetProcessTimes(h, &created, &exited, &kernel, &user) == nil {
		p.put(processCPU, float64(ticks(kernel)+ticks(user))/1e7)
		p.put(processStart, float64(created.Nanoseconds())/1e9)
	}
	m := memoryCounters{size: uint32(unsafe.Sizeof(memoryCounters{}))}
	if ok, _, _ := getProcessMemoryInfo.Call(uintptr(h), uintptr(unsafe.Pointer(&m)), unsafe.Sizeof(m)); ok != 0 {
		p.put(processVirtual, float64(m.private))
		p.put(processResident, float64(m.workingSet))
	}
	var handles uint32
	if ok, _, _ := getProcessHandleCount.Call(uintptr(h), uintptr(unsafe.Pointer(&handles))); ok != 0 {
		p.put(processFiles, float64(handles))
	}
}

// ticks are of 100 ns; a Filetime that is a duration is not one since 1601.
func ticks(t windows.Filetime) uint64 {
	return uint64(t.HighDateTime)<<32 | uint64(t.LowDateTime)
}

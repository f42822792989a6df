package metrics

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"
)

func goVersion() string { return runtime.Version() }

// The series that every Go program shows to Prometheus, under the names that
// dashboards know: those of client_golang's collector.
var (
	goInfo       = declare(gauge, "go_info", "Information about the Go environment.", "version")
	goGoroutines = declare(gauge, "go_goroutines", "Number of goroutines that currently exist.")
	goThreads    = declare(gauge, "go_threads", "Number of OS threads created.")
	goPauses     = declare(summary, "go_gc_duration_seconds", "Time that the program stood still in each cycle of the garbage collector.")
	goLastGC     = declare(gauge, "go_memstats_last_gc_time_seconds", "Number of seconds since 1970 of last garbage collection.")
)

// goFigure is a series that is the sum of figures of package runtime/metrics.
type goFigure struct {
	*family
	of []string
}

func goes(k kind, name, help string, of ...string) goFigure {
	return goFigure{declare(k, "go_"+name, help), of}
}

const (
	live     = "/memory/classes/heap/objects:bytes"
	unused   = "/memory/classes/heap/unused:bytes"
	free     = "/memory/classes/heap/free:bytes"
	released = "/memory/classes/heap/released:bytes"
	stacks   = "/memory/classes/heap/stacks:bytes"
	mspan    = "/memory/classes/metadata/mspan/inuse:bytes"
	mcache   = "/memory/classes/metadata/mcache/inuse:bytes"
	tiny     = "/gc/heap/tiny/allocs:objects"
)

var goFigures = []goFigure{
	goes(gauge, "gc_gogc_percent", "Growth of the heap at which the garbage collector runs (GOGC).", "/gc/gogc:percent"),
	goes(gauge, "gc_gomemlimit_bytes", "Memory that the Go runtime tries to stay below (GOMEMLIMIT).", "/gc/gomemlimit:bytes"),
	goes(gauge, "sched_gomaxprocs_threads", "Threads that may run Go code at once (GOMAXPROCS).", "/sched/gomaxprocs:threads"),
	goes(gauge, "memstats_alloc_bytes", "Bytes of heap objects in use.", live),
	goes(counter, "memstats_alloc_bytes_total", "Bytes of heap objects allocated until now, even if released already.", "/gc/heap/allocs:bytes"),
	goes(counter, "memstats_mallocs_total", "Heap objects allocated.", "/gc/heap/allocs:objects", tiny),
	goes(counter, "memstats_frees_total", "Heap objects freed.", "/gc/heap/frees:objects", tiny),
	goes(gauge, "memstats_heap_alloc_bytes", "Bytes of heap objects in use, as go_memstats_alloc_bytes.", live),
	goes(gauge, "memstats_heap_inuse_bytes", "Bytes of the heap in use.", live, unused),
	goes(gauge, "memstats_heap_idle_bytes", "Bytes of the heap waiting to be used.", released, free),
	goes(gauge, "memstats_heap_released_bytes", "Bytes of the heap given back to the system.", released),
	goes(gauge, "memstats_heap_sys_bytes", "Bytes of the heap obtained from the system.", live, unused, released, free),
	goes(gauge, "memstats_heap_objects", "Heap objects in use.", "/gc/heap/objects:objects"),
	goes(gauge, "memstats_next_gc_bytes", "Size of the heap at which the garbage collector runs next.", "/gc/heap/goal:bytes"),
	goes(gauge, "memstats_stack_inuse_bytes", "Bytes of goroutines' stacks.", stacks),
	goes(gauge, "memstats_stack_sys_bytes", "Bytes of stacks obtained from the system.", stacks, "/memory/classes/os-stacks:bytes"),
	goes(gauge, "memstats_mspan_inuse_bytes", "Bytes of mspan structures in use.", mspan),
	goes(gauge, "memstats_mspan_sys_bytes", "Bytes of mspan structures obtained from the system.", mspan, "/memory/classes/metadata/mspan/free:bytes"),
	goes(gauge, "memstats_mcache_inuse_bytes", "Bytes of mcache structures in use.", mcache),
	goes(gauge, "memstats_mcache_sys_bytes", "Bytes of mcache structures obtained from the system.", mcache, "/memory/classes/metadata/mcache/free:bytes"),
	goes(gauge, "memstats_buck_hash_sys_bytes", "Bytes of the profiler's hash table.", "/memory/classes/profiling/buckets:bytes"),
	goes(gauge, "memstats_gc_sys_bytes", "Bytes of what the garbage collector keeps for itself.", "/memory/classes/metadata/other:bytes"),
	goes(gauge, "memstats_other_sys_bytes", "Bytes obtained from the system for other things.", "/memory/classes/other:bytes"),
	goes(gauge, "memstats_sys_bytes", "Bytes obtained from the system.", "/memory/classes/total:bytes"),
}

// runtime reads the Go runtime, without stopping it.
func (p *page) runtime() {
	p.put(goInfo, 1, goVersion())
	p.put(goGoroutines, float64(runtime.NumGoroutine()))
	threads, _ := runtime.ThreadCreateProfile(nil)
	p.put(goThreads, float64(threads))
	p.pauses()
	if p.figures == nil {
		for _, g := range goFigures {
			for _, name := range g.of {
				p.figures = append(p.figures, metrics.Sample{Name: name})
			}
		}
	}
	metrics.Read(p.figures)
	rest := p.figures
	for _, g := range goFigures {
		sum, known := uint64(0), true
		for _, s := range rest[:len(g.of)] {
			if s.Value.Kind() != metrics.KindUint64 { // a later Go may not have it
				known = false
				break
			}
			sum += s.Value.Uint64()
		}
		if rest = rest[len(g.of):]; known {
			p.put(g.family, float64(sum))
		}
	}
}

func (p *page) pauses() {
	gc := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&gc)
	for i, q := range gc.PauseQuantiles {
		p.sample(goPauses, "", "quantile", strconv.FormatFloat(float64(i)/4, 'g', -1, 64), q.Seconds(), nil)
	}
	p.sample(goPauses, "_sum", "", "", gc.PauseTotal.Seconds(), nil)
	p.count(goPauses, "_count", "", "", uint64(gc.NumGC), nil)
	p.put(goLastGC, float64(gc.LastGC.UnixNano())/1e9)
}

package metrics

// The series of the process, under the names that Prometheus' own libraries give
// them ("Writing client libraries", Process metrics). What a system does not tell is
// absent. Not here, though client_golang has them: process_network_…, which are
// figures of the machine and not of the process.
var (
	processCPU      = declare(counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
	processFiles    = declare(gauge, "process_open_fds", "Number of open file descriptors.")
	processMaxFiles = declare(gauge, "process_max_fds", "Maximum number of open file descriptors.")
	processVirtual  = declare(gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes.")
	processMaxVirt  = declare(gauge, "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.")
	processResident = declare(gauge, "process_resident_memory_bytes", "Resident memory size in bytes.")
	processStart    = declare(gauge, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
)

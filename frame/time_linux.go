package frame

import (
	"time"

	"golang.org/x/sys/unix"
)

// readMonotonicBase finds CLOCK_MONOTONIC at processStart. The reading is
// bracketed by Go's clock, and the tightest of a few brackets is used, so that
// being scheduled away in between cannot shift every later stamp.
func readMonotonicBase() int64 {
	best, base := time.Duration(1<<62), int64(0)
	for range 8 {
		var ts unix.Timespec
		before := time.Since(processStart)
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return int64(time.Hour)
		}
		after := time.Since(processStart)
		if after-before < best {
			best = after - before
			base = ts.Nano() - int64(before+(after-before)/2)
		}
	}
	return base
}

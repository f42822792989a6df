//go:build !linux

package frame

import "time"

// readMonotonicBase gives an arbitrary, positive origin: no driver here stamps
// frames, so nothing has to compare with these readings but themselves.
func readMonotonicBase() int64 { return int64(time.Hour) }

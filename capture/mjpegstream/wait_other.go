//go:build !linux && !darwin

package mjpegstream

import (
	"io"
	"os"
)

// interruptible reads f; stop closes it, which ends a waiting read on systems
// whose pipes allow that.
func interruptible(f *os.File) (r io.Reader, stop, free func() error, err error) {
	return f, f.Close, func() error { return nil }, nil
}

func isTerminal(*os.File) bool { return false }

package rawio

import (
	"os"

	"golang.org/x/sys/unix"
)

// GrowPipe lets a pipe hold n bytes, if it holds less and the system allows it
// (F_SETPIPE_SZ, fcntl(2); up to /proc/sys/fs/pipe-max-size): who writes a frame into it
// then need not wait, and nobody is woken for each part. What is no pipe stays as it is.
func GrowPipe(f *os.File, n int) {
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) {
		if now, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil && now < n {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, n)
		}
	})
}

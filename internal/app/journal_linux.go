package app

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// isJournal reports whether what is written to out goes to journald, which says so
// by the device and inode of the stream; systemd.exec(5), JOURNAL_STREAM.
func isJournal(out io.Writer) bool {
	f, ok := out.(*os.File)
	want := os.Getenv("JOURNAL_STREAM")
	if !ok || want == "" {
		return false
	}
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && want == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

//go:build linux

package bench

import (
	"bytes"
	"fmt"
)

// archive writes an initramfs in the kernel's "newc" format
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	buf bytes.Buffer
	ino int
}

func (a *archive) dir(name string)               { a.entry(name, 0o040755, nil) }
func (a *archive) file(name string, data []byte) { a.entry(name, 0o100755, data) }
func (a *archive) link(name, target string)      { a.entry(name, 0o120777, []byte(target)) }

func (a *archive) entry(name string, mode uint32, data []byte) {
	a.ino++
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	a.buf.WriteString(name)
	a.buf.WriteByte(0)
	a.pad()
	a.buf.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

// bytes ends the archive. The kernel reads several of them one after another.
func (a *archive) bytes() []byte {
	a.entry("TRAILER!!!", 0, nil)
	for a.buf.Len()%512 != 0 {
		a.buf.WriteByte(0)
	}
	return a.buf.Bytes()
}

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// smallDisk gives the receiver a disk of its own, in memory.
func (t *trial) smallDisk(size string) error {
	dir := filepath.Join(t.dir, "disk")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	t.undo = append(t.undo, func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.failf("unmount: %v", err)
		}
	})
	t.disk = dir
	return nil
}

// realDisk gives the receiver a file system that can hang and break: ext4 on a
// loop device.
func (t *trial) realDisk() error { return t.ext4("") }

func (t *trial) ext4(options string) error {
	image, dir := filepath.Join(t.dir, "image"), filepath.Join(t.dir, "disk")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(image, nil, 0o666); err != nil {
		return err
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image},
		{"mount", "-o", "loop,errors=remount-ro" + options, image, dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	t.undo = append(t.undo, func() {
		_ = freeze(dir, false)
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.failf("umount: %v: %s", err, out)
		}
	})
	t.disk = dir
	return nil
}

// slowDisk is one whose writing the kernel can slow down: each write goes to the disk
// at once, in the name of who writes, and so counts for its control group.
func (t *trial) slowDisk() error {
	if err := t.ext4(",sync"); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(t.disk, &st); err != nil {
		return err
	}
	group := fmt.Sprintf("/sys/fs/cgroup/blkio/framepipe-chaos-%d-%d", os.Getpid(), t.seed)
	file, format, all := "blkio.throttle.write_bps_device", "%d:%d %s", "0" // cgroup-v1/blkio-controller.rst
	if _, err := os.Stat(filepath.Dir(group)); err != nil {
		group = filepath.Join("/sys/fs/cgroup", filepath.Base(group))
		file, format, all = "io.max", "%d:%d wbps=%s", "max" // cgroup-v2.rst
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+io"), 0); err != nil {
			return fmt.Errorf("the kernel slows down no disks here: %w", err)
		}
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		return fmt.Errorf("the kernel slows down no disks here: %w", err)
	}
	t.undo = append(t.undo, func() {
		if err := os.Remove(group); err != nil {
			t.failf("%v", err)
		}
	})
	t.throttle = func(pid int, rate int64) error {
		limit := all
		if rate > 0 {
			limit = fmt.Sprint(rate)
		}
		return errors.Join(os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(fmt.Sprint(pid)), 0),
			os.WriteFile(filepath.Join(group, file), fmt.Appendf(nil, format, unix.Major(st.Dev), unix.Minor(st.Dev), limit), 0))
	}
	return nil
}

// freeze makes everybody who writes to a file system wait; ioctl_fiFREEZE, linux/fs.h.
func freeze(dir string, on bool) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	const fiFreeze, fiThaw = 0xc0045877, 0xc0045878
	op := uintptr(fiThaw)
	if on {
		op = fiFreeze
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), op, 0); e != 0 {
		return e
	}
	return nil
}

// breakDisk has the kernel find the file system damaged, upon which it allows no
// more writing: what becomes of a worn-out SD card.
func breakDisk(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return err
	}
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(link), "trigger_fs_error"), []byte("chaos"), 0); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "probe"), nil, 0o666); !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("the disk can still be written: %w", err)
	}
	return nil
}

// fill writes until nothing goes any more; the file is to be removed.
func fill(dir string) (string, error) {
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for b := make([]byte, 64<<10); len(b) > 0; {
		if _, err := f.Write(b); errors.Is(err, unix.ENOSPC) {
			b = b[:len(b)/2]
		} else if err != nil {
			return "", err
		}
	}
	return name, nil
}

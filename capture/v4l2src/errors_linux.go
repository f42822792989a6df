//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"framepipe/capture"
)

const hintGroup = "your user may not use cameras: `sudo usermod -aG video $USER`, then log in again"

// explain turns an errno into what a person can act on.
func explain(op, path string, err error) error {
	e := &capture.Error{Op: op, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT):
		e.Err, e.Config = fmt.Errorf("there is no such device (%w)", err), true
		e.Hint = "is the camera plugged in? `framepipe devices` lists the cameras; for a Pi camera module use --source rpicam:0"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		e.Hint = hintGroup
	case errors.Is(err, unix.EBUSY):
		who := holders(path)
		if len(who) == 0 {
			e.Hint = "another program uses the camera; `sudo fuser -v " + path + "` names it"
			break
		}
		e.Err = fmt.Errorf("used by %s: %w", strings.Join(who, ", "), err)
		e.Hint = "stop that program, or let it serve the frames and use its address as --source http://…"
	case errors.Is(err, unix.ENOSPC):
		e.Hint = "not enough USB bandwidth: plug the camera into another port (not the hub of another camera), or use MJPEG, a smaller size or a lower frame rate"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		e.Err = fmt.Errorf("%w: %w", capture.ErrGone, err)
		e.Hint = "the camera was unplugged or its driver unloaded"
	case errors.Is(err, unix.ENOTTY):
		e.Config = true
		e.Hint = "this is not a V4L2 capture device; `framepipe devices` lists the cameras"
	}
	return e
}

// gone wraps what ended a running capture. All of it is worth another attempt.
func gone(path, name string, err error) error {
	e := &capture.Error{Op: fmt.Sprintf("capture from %s (%s)", path, name), Err: fmt.Errorf("%w: %w", capture.ErrGone, err)}
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		e.Hint = "the camera was unplugged; it is opened again when it comes back"
	case errors.Is(err, errSilent):
		e.Hint = "check the cable and the power supply; `dmesg` may show USB errors"
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.ENOSPC):
		if ce, ok := errors.AsType[*capture.Error](explain("", path, err)); ok {
			e.Err, e.Hint = fmt.Errorf("%w: %w", capture.ErrGone, ce.Err), ce.Hint
		}
	}
	return e
}

// holders names the processes that have the device open, as far as this user may
// look: "ustreamer (pid 123)".
func holders(path string) []string {
	var dev unix.Stat_t
	if unix.Stat(path, &dev) != nil {
		return nil
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd")
	if err != nil {
		return nil
	}
	var out []string
	for _, dir := range fds {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err != nil {
			continue
		}
		n := countOpen(dir, uint64(dev.Rdev))
		if pid == os.Getpid() {
			if n > 1 { // one is this very attempt's
				out = append(out, "this program itself")
			}
			continue
		}
		if n == 0 {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "comm"))
		if err != nil {
			continue
		}
		out = append(out, fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), pid))
	}
	return out
}

func countOpen(dir string, rdev uint64) (n int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		link, err := os.Readlink(p)
		if err != nil || !strings.HasPrefix(link, "/") {
			continue // a socket or a pipe; asking them could block
		}
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(st.Rdev) == rdev {
			n++
		}
	}
	return n
}

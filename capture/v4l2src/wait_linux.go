//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/v4l2"
)

// WaitFor blocks until the camera is there (again) and can be opened, and
// returns its path, which may be another: with an id, a camera of the same name
// and bus wins, then the given path if it holds a camera of that name, then any
// of that name. Without an id any capture device at path will do.
//
// It watches /dev with inotify and looks every second besides: device nodes can
// appear before they may be opened, and not every container sees the events.
func WaitFor(ctx context.Context, path string, id Identity) (string, error) {
	node, _, err := parsePath(path)
	if err != nil {
		return "", err
	}
	w := watch()
	if w != nil {
		defer w.Close()
		stop := context.AfterFunc(ctx, func() { w.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	var events [4096]byte
	for {
		if p := find(node, id); p != "" {
			return p, nil
		}
		if w != nil {
			w.SetReadDeadline(time.Now().Add(time.Second))
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if w != nil {
			if _, err := w.Read(events[:]); err == nil || os.IsTimeout(err) {
				continue
			}
			w.Close()
			w = nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// watch is an inotify descriptor for new nodes and changed permissions in /dev;
// nil where that is not to be had.
func watch() *os.File {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil
	}
	if _, err := unix.InotifyAddWatch(fd, "/dev", unix.IN_CREATE|unix.IN_ATTRIB|unix.IN_MOVED_TO); err != nil {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "inotify:/dev")
}

func find(path string, id Identity) string {
	if id == (Identity{}) {
		if d, err := v4l2.Open(path); err == nil {
			defer d.Close()
			if d.Capability().IsCapture() {
				return path
			}
		}
		return ""
	}
	devs, err := v4l2.Devices()
	if err != nil {
		return ""
	}
	// A link in /dev/v4l/by-id stands for the camera itself.
	if d, err := v4l2.Open(path); err == nil {
		devs = append(devs, v4l2.DeviceInfo{Path: path, Capability: d.Capability()})
		d.Close()
	}
	best, score := "", 0
	for _, d := range devs {
		s := match(d, path, id)
		if s > score {
			best, score = d.Path, s
		}
	}
	return best
}

// match says how sure it is that d is the camera: 0 = it is not.
func match(d v4l2.DeviceInfo, path string, id Identity) int {
	switch {
	case !d.IsCapture() || d.Card != id.Name || d.Driver != id.Driver:
		return 0
	case d.Bus == id.Bus && d.Path == path:
		return 4
	case d.Bus == id.Bus:
		return 3
	case d.Path == path:
		return 2
	}
	return 1
}

//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/v4l2"
)

func TestExplain(t *testing.T) {
	for _, tc := range []struct {
		errno        unix.Errno
		config, gone bool
		hint         string
	}{
		{unix.ENOENT, true, false, "plugged in"},
		{unix.EACCES, false, false, "-aG video"},
		{unix.EBUSY, false, false, "another program"},
		{unix.ENOSPC, false, false, "bandwidth"},
		{unix.ENODEV, false, true, "unplugged"},
		{unix.ENOTTY, true, false, "not a V4L2"},
		{unix.EINVAL, false, false, ""},
	} {
		err := explain("open /dev/video9", "/nowhere", &v4l2.Error{Op: "VIDIOC_STREAMON", Path: "/dev/video9", Err: tc.errno})
		if !errors.Is(err, tc.errno) || capture.IsConfig(err) != tc.config || errors.Is(err, capture.ErrGone) != tc.gone {
			t.Errorf("%v: %v", tc.errno, err)
		}
		if h := capture.Hint(err); (tc.hint == "") != (h == "") || !strings.Contains(h, tc.hint) {
			t.Errorf("%v: hint %q", tc.errno, h)
		}
		if !strings.Contains(err.Error(), "/dev/video9") || !strings.Contains(err.Error(), "STREAMON") {
			t.Errorf("%v: %v", tc.errno, err)
		}
		lost := gone("/dev/video9", "a webcam", err)
		if !errors.Is(lost, capture.ErrGone) || !errors.Is(lost, tc.errno) || !strings.Contains(lost.Error(), "a webcam") {
			t.Errorf("%v while running: %v", tc.errno, lost)
		}
	}
}

// holders finds whoever has a character device open; this process has /dev/null.
func TestHolders(t *testing.T) {
	a, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if who := strings.Join(holders(os.DevNull), ", "); !strings.Contains(who, "this program itself") {
		t.Errorf("/dev/null is held by %q", who)
	}
	if who := holders(filepath.Join(t.TempDir(), "absent")); who != nil {
		t.Errorf("a file that is not there is held by %q", who)
	}
}

func TestParsePath(t *testing.T) {
	for _, tc := range []struct {
		path, node string
		input      int
		ok         bool
	}{
		{"/dev/video0", "/dev/video0", -1, true},
		{"3", "/dev/video3", -1, true},
		{"/dev/video0?input=2", "/dev/video0", 2, true},
		{"1?input=0", "/dev/video1", 0, true},
		{"/dev/video0?input=-1", "", 0, false},
		{"/dev/video0?input=", "", 0, false},
		{"/dev/video0?width=3", "", 0, false},
		{"/dev/video0?a;b", "", 0, false},
	} {
		node, input, err := parsePath(tc.path)
		if (err == nil) != tc.ok || tc.ok && (node != tc.node || input != tc.input) {
			t.Errorf("%s: %s %d %v", tc.path, node, input, err)
		}
	}
}

func TestMatch(t *testing.T) {
	id := Identity{Name: "HD Webcam", Driver: "uvcvideo", Bus: "usb-0000:01:00.0-1.3"}
	dev := func(path, card, bus string, caps uint32) v4l2.DeviceInfo {
		return v4l2.DeviceInfo{Path: path, Capability: v4l2.Capability{Driver: "uvcvideo", Card: card, Bus: bus, Caps: caps}}
	}
	const video = v4l2.CapVideoCapture | v4l2.CapStreaming
	// Best first.
	ranking := []v4l2.DeviceInfo{
		dev("/dev/video0", id.Name, id.Bus, video),
		dev("/dev/video5", id.Name, id.Bus, video),
		dev("/dev/video0", id.Name, "usb-2", video),
		dev("/dev/video7", id.Name, "usb-2", video),
	}
	last := 99
	for i, d := range ranking {
		m := match(d, "/dev/video0", id)
		if m <= 0 || m >= last {
			t.Errorf("%d: %d after %d", i, m, last)
		}
		last = m
	}
	for _, d := range []v4l2.DeviceInfo{
		dev("/dev/video0", "Another", id.Bus, video),
		dev("/dev/video1", id.Name, id.Bus, v4l2.CapMetaCapture|v4l2.CapStreaming),
	} {
		if m := match(d, "/dev/video0", id); m != 0 {
			t.Errorf("%+v: %d", d, m)
		}
	}
}

func TestWaitForEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := WaitFor(ctx, filepath.Join(t.TempDir(), "video0"), Identity{})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"framepipe/test/preload"
)

// findUstreamer looks for PEER_USTREAMER, or the one that is installed, and builds the
// camera for it: it takes pictures from V4L2 only.
func (b *bench) findUstreamer() error {
	name := os.Getenv("PEER_USTREAMER")
	if name == "" {
		name = "ustreamer"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("PEER_USTREAMER") != "" {
			return err
		}
		return nil // not here
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return err
	}
	if b.cameraLib, err = preload.Build(b.dir); err != nil {
		return err
	}
	b.ustreamer, b.ustreamerName = path, "ustreamer "+strings.TrimSpace(string(version))
	return nil
}

// pass runs ustreamer with a camera that gives JPEGs, which it passes on.
func (b *bench) pass(w work, length time.Duration) (figures, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	device := filepath.Join(b.dir, "video0")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		return figures{}, err
	}
	jpg, err := os.ReadFile(filepath.Join(b.dir, "frame.jpg"))
	if err != nil {
		return figures{}, err
	}
	picture := filepath.Join(b.dir, "stamped.jpg")
	if err := os.WriteFile(picture, stamped(jpg), 0o600); err != nil {
		return figures{}, err
	}
	addr, err := freeAddr()
	if err != nil {
		return figures{}, err
	}
	host, port, _ := net.SplitHostPort(addr)
	c := exec.CommandContext(ctx, b.ustreamer, "--device", device, "--format", "jpeg", "--encoder", "hw", "--resolution", "640x480",
		"--desired-fps", strconv.Itoa(w.fps), "--host", host, "--port", port, "--log-level", "0")
	c.Env = (&preload.Camera{Frames: picture, JPEG: true, Width: 640, Height: 480, FPS: w.fps}).Environment(b.cameraLib, device)
	var said bytes.Buffer // it names each viewer that comes and goes
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return figures{}, err
	}
	defer end(c)
	time.Sleep(2 * time.Second)
	f, err := b.watch(ctx, c.Process.Pid, w, []string{addr + "/stream"}, length)
	if err != nil {
		return f, fmt.Errorf("%w; it said: %s", err, said.String())
	}
	return f, nil
}

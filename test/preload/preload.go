//go:build linux

// Package preload makes a camera for C programs on a machine without one: a library
// that is preloaded into them and answers as a V4L2 driver would. It is no test of
// drivers (test/vm has real ones); it lets other camera servers be measured with the
// same frames as ours. What its environment variables mean is in testdata/camera.c.
package preload

import (
	"cmp"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed testdata/camera.c
var source []byte

// Camera is a camera for one program.
type Camera struct {
	Frames        string // the file with its frames, one behind the other
	JPEG          bool   // it is one JPEG whose stamp is set at each frame
	Width, Height int
	FPS           int
}

// Build compiles the library into dir.
func Build(dir string) (lib string, err error) {
	src := filepath.Join(dir, "camera.c")
	lib = filepath.Join(dir, "camera.so")
	if err := os.WriteFile(src, source, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command(cmp.Or(os.Getenv("CC"), "gcc"), "-O2", "-Wall", "-shared", "-fPIC", "-o", lib, src, "-ldl").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return lib, nil
}

// Environment is what the program needs to find the camera at the path device, which
// is to be an existing file.
func (c *Camera) Environment(lib, device string) []string {
	env := append(os.Environ(), "LD_PRELOAD="+lib, "CAMERA_PATH="+device, "CAMERA_FRAMES="+c.Frames,
		"CAMERA_WIDTH="+strconv.Itoa(c.Width), "CAMERA_HEIGHT="+strconv.Itoa(c.Height), "CAMERA_FPS="+strconv.Itoa(c.FPS))
	if c.JPEG {
		env = append(env, "CAMERA_JPEG=1")
	}
	return env
}

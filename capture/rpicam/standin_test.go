//go:build linux

package rpicam

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"framepipe/test/standin"
)

// TestMain makes this test program stand in for rpicam-vid and rpicam-still when it
// is called by one of those names.
func TestMain(m *testing.M) {
	switch base := filepath.Base(os.Args[0]); {
	case strings.HasSuffix(base, "-vid"), strings.HasSuffix(base, "-still"):
		standin.RPiCam(strings.HasSuffix(base, "-still"))
	default:
		os.Exit(m.Run())
	}
}

// install puts the stand-in where rpicam-vid is looked for, and says how it is to
// behave.
func install(t testing.TB, behaviour string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, n := range []string{"rpicam-vid", "rpicam-still"} {
		if err := os.Symlink(self, filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(Env, filepath.Join(dir, "rpicam-vid"))
	t.Setenv("STANDIN", behaviour)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // with -race the stand-in would dawdle at its end
}

//go:build linux && (vm || vmpi)

package vm

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"framepipe/test/vm/bench"
)

// count is how often each of the guest's tests is run, for hunting rare failures.
func count() string {
	if c := os.Getenv("FRAMEPIPE_VM_COUNT"); c != "" {
		return c
	}
	return "1"
}

// everyIoctl are those of the guest's tests that between them use every request
// of package v4l2, for processors on which all tests would take too long.
var everyIoctl = []string{"TestDevices", "TestFormats", "TestControls", "TestStampsAndLedger", "TestStride", "TestTryFormatChangesNothing",
	"TestRawNoAllocation", "TestHeldFrames", "TestMJPEG", "TestUnplug"}

// inGuest runs one of the guest's tests as a test of the host.
func inGuest(t *testing.T, m *bench.Machine, program, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, code, err := m.Run(ctx, program, "-test.run", "^"+name+"$", "-test.v", "-test.timeout", "160s", "-test.count", count())
	switch {
	case err != nil || code != 0:
		t.Errorf("%s: exit %d, %v\n%s", program, code, err, out)
	case !strings.Contains(out, "--- PASS: "+name+" "):
		t.Errorf("%s did not run %s\n%s", program, name, out)
	case testing.Verbose():
		t.Log(out)
	}
}

package clients

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pythonWith finds a Python that has a module: Debian's packages are Debian's Python's.
func pythonWith(t *testing.T, module, pkg string) string {
	t.Helper()
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import "+module).Run() == nil {
			return p
		}
	}
	t.Skipf("needs Python's %s (apt-get install %s)", module, pkg)
	return ""
}

// example runs one of the Python package's examples to its end.
func example(t *testing.T, python string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := filepath.Abs("../../clients/python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, append([]string{"-B", "-W", "error::ResourceWarning", filepath.Join(dir, "examples", args[0])}, args[1:]...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
	return cmd
}

var pythonFrame = regexp.MustCompile(`frame (\d+)\D.*?(\d+)x(\d+).*?([\d.]+) ms .*?(\d+) passed over`)

// frames reads what an example prints: the frames' numbers rise, their sizes are
// right, their latencies plausible.
func pythonFrames(t *testing.T, out string, want int) (skipped int) {
	t.Helper()
	last, n := 0, 0
	for _, line := range strings.Split(out, "\n") {
		m := pythonFrame.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n++
		seq, _ := strconv.Atoi(m[1])
		ms, _ := strconv.ParseFloat(m[4], 64)
		missed, _ := strconv.Atoi(m[5])
		skipped += missed
		if seq <= last || m[2] != "320" || m[3] != "240" || ms < 0 || ms > 20_000 {
			t.Errorf("after frame %d: %s", last, line)
		}
		last = seq
	}
	if n != want {
		t.Errorf("%d frames, want %d:\n%s", n, want, out)
	}
	return skipped
}

// Twenty lines from a receiver to OpenCV.
func TestPythonFromAReceiver(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "cv2", "python3-opencv")
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30")
	p.picture()
	out, err := example(t, python, "opencv.py", strings.TrimSuffix(p.page, "/"), "20").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	pythonFrames(t, string(out), 20)
}

// A camera sends to a Python program directly; it is slow, and gets fresh frames; its
// settings are changed; and its ledger balances in the end.
func TestPythonReceivesDirectly(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "json", "python3")
	cmd := example(t, python, "direct.py", "0", "10")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(stdout)
	if !in.Scan() {
		t.Fatal("it says nothing")
	}
	port := strings.TrimPrefix(in.Text(), "waiting on port ")
	s := send(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30", "--format", "yuv", "--name", "door", "127.0.0.1:"+port)
	var out strings.Builder
	for in.Scan() {
		out.WriteString(in.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if skipped := pythonFrames(t, out.String(), 10); skipped < 9 {
		t.Errorf("a program that takes 0.2 s for a frame was passed over by %d of 30 a second", skipped)
	}
	if !strings.Contains(out.String(), "the camera does now: 20") || !strings.Contains(out.String(), "door frame ") || !strings.Contains(out.String(), " YU12 ") {
		t.Errorf("the output is\n%s", &out)
	}
	s.stop()
	if said := s.said(); strings.Contains(said, "UNACCOUNTED") {
		t.Errorf("the sender says\n%s", said)
	}
}

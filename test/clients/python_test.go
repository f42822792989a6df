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

	"framepipe/test/certs"
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

// example runs one of the Python package's examples, or another script, to its end.
func example(t *testing.T, python string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := filepath.Abs("../../clients/python")
	if err != nil {
		t.Fatal(err)
	}
	script := args[0]
	if !filepath.IsAbs(script) {
		script = filepath.Join(dir, "examples", script)
	}
	cmd := exec.Command(python, append([]string{"-B", "-W", "error::ResourceWarning", script}, args[1:]...)...)
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

// The package says that it has types (py.typed): a checker believes them, and the
// examples that use them.
func TestPythonTypes(t *testing.T) {
	t.Parallel()
	need(t, "mypy", "mypy")
	cmd := exec.Command("mypy", "--strict", "--ignore-missing-imports", "--cache-dir", t.TempDir(), "framepipe", "examples")
	cmd.Dir = "../../clients/python"
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Success: no issues found") {
		t.Errorf("mypy: %v\n%s", err, out)
	}
}

const secureListener = `import sys, framepipe
context = framepipe.server_context(*sys.argv[1:])
with framepipe.Listener("127.0.0.1", 0, context=context) as cameras:
    print(cameras.port, flush=True)
    n = 0
    for frame in cameras.frames():
        n += 1
        if n == 5:
            print("quality", cameras.control(frame.camera, quality=30)["quality"])
        if n == 40:
            break
    print(frame.camera, frame.format, frame.width, frame.height, frame.latency is not None, frame.error is not None)
`

// Over TLS, a Python program and cameras know each other by certificates; whoever has
// none, or speaks in the clear, is not let in.
func TestPythonReceivesOverTLS(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "json", "python3")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca := certs.New(t, dir)
	ca.Server("server")
	ca.Client("camera")
	if err := os.WriteFile(file("listen.py"), []byte(secureListener), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := example(t, python, file("listen.py"), file("server.pem"), file("server.key"), file("ca.pem"))
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
	addr := "127.0.0.1:" + in.Text()
	for what, flags := range map[string][]string{"in the clear": nil, "without a certificate": {"--tls-ca", file("ca.pem")}} {
		args := append(append([]string{"send", "--source", "pattern", "--name", "stranger", "--connect-retry", "1s", "--for", "20s"}, flags...), addr)
		if out, err := exec.Command(binary, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "error: no connection") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	s := send(t, "--source", "pattern", "-W", "640", "-H", "480", "--fps", "30", "--name", "door", "--tls-ca", file("ca.pem"), "--tls-cert", file("camera.pem"), "--tls-key", file("camera.key"), addr)
	var out strings.Builder
	for in.Scan() {
		out.WriteString(in.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil || out.String() != "quality 30\ndoor JPEG 640 480 True True\n" {
		t.Errorf("%v\n%s", err, &out)
	}
	s.stop()
	if said := s.said(); strings.Contains(said, "UNACCOUNTED") {
		t.Errorf("the sender says\n%s", said)
	}
}

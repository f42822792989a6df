package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	recipeBlock = regexp.MustCompile("(?ms)^```\\w+ ([a-z]+)\n(.*?)^```$")
)

// recipe is a named block of docs/connect, with the receiver's address put in.
func (p *program) recipe(file, name string) string {
	p.Helper()
	b, err := os.ReadFile(filepath.Join("../../docs/connect", file))
	if err != nil {
		p.Fatal(err)
	}
	for _, m := range recipeBlock.FindAllStringSubmatch(string(b), -1) {
		if m[1] == name {
			return strings.ReplaceAll(m[2], "http://127.0.0.1:8080/", p.page)
		}
	}
	p.Fatalf("docs/connect/%s has no block called %s", file, name)
	return ""
}

func replaced(t *testing.T, text, old, by string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("the recipe has no %q:\n%s", old, text)
	}
	return strings.ReplaceAll(text, old, by)
}

// shell runs a recipe in dir.
func shell(t *testing.T, dir, text string, env ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", text)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), time.Second
	ownGroup(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", text, err, out)
	}
	return string(out)
}

// pictures starts a receiver with a camera of 640x480.
func pictures(t *testing.T) *program {
	p := start(t, "--source", "pattern", "-W", "640", "-H", "480", "--fps", "30")
	p.picture()
	return p
}

func TestRecipeFFmpeg(t *testing.T) {
	t.Parallel()
	need(t, "ffmpeg", "ffmpeg")
	ranWith(t, "ffmpeg", "connect/README.md", "ffmpeg", "-version")
	p, dir := pictures(t), t.TempDir()
	shell(t, dir, p.recipe("README.md", "ffmpeg"))
	out := run(t, "ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames", "-of", "csv=p=0", filepath.Join(dir, "clip.mkv"))
	if strings.TrimSpace(out) != "mjpeg,640,480,60" {
		t.Errorf("the clip is %s", out)
	}
}

func TestRecipeGStreamer(t *testing.T) {
	t.Parallel()
	need(t, "gst-launch-1.0", "gstreamer1.0-tools")
	ranWith(t, "GStreamer", "connect/README.md", "gst-launch-1.0", "--version")
	p, dir := pictures(t), t.TempDir()
	text := replaced(t, p.recipe("README.md", "gstreamer"), "! autovideosink sync=false", "! video/x-raw,format=GRAY8 ! identity eos-after=21 ! filesink location=out.gray")
	shell(t, dir, text)
	st, err := os.Stat(filepath.Join(dir, "out.gray"))
	if err != nil || st.Size() < 20*640*480 || st.Size()%(640*480) != 0 {
		t.Errorf("%v, %v", st, err)
	}
}

func TestRecipeOpenCV(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "cv2", "python3-opencv")
	ranWith(t, "OpenCV", "connect/README.md", python, "-c", "import cv2; print(cv2.__version__)")
	p, dir := pictures(t), t.TempDir()
	file := filepath.Join(dir, "recipe.py")
	if err := os.WriteFile(file, []byte(p.recipe("README.md", "opencv")), 0o666); err != nil {
		t.Fatal(err)
	}
	if out := run(t, python, file); strings.Count(out, "(480, 640, 3)") != 30 {
		t.Errorf("it prints\n%s", out)
	}
}

// captured is what opencv-stamps prints.
var captured = regexp.MustCompile(`(?m)^640x480 captured (-?[0-9.]+) ms ago$`)

func TestRecipeOpenCVInC(t *testing.T) {
	t.Parallel()
	need(t, "g++", "g++")
	if _, err := os.Stat("/usr/include/opencv4/opencv2/videoio.hpp"); err != nil {
		t.Skip("needs OpenCV's headers (apt-get install libopencv-videoio-dev libopencv-imgcodecs-dev)")
	}
	ranWith(t, "OpenCV", "connect/README.md", "sh", "-c", `printf "%s" $(sed -n "s/.*define CV_VERSION_M[AI][JN]OR *//p" /usr/include/opencv4/opencv2/core/version.hpp | paste -s -d .)`)
	p, dir := pictures(t), t.TempDir()
	for _, name := range []string{"opencv.cpp", "opencv-stamps.cpp"} {
		b, err := os.ReadFile(filepath.Join("../../docs/connect", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	host, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(p.page, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	text := replaced(t, p.recipe("README.md", "opencvcpp"), "127.0.0.1 8080", host+" "+port)
	text = replaced(t, text, "g++ -O2", "g++ -O0 -Wall -Wextra -Werror") // it is to be compiled soon, not to run fast
	out := shell(t, dir, text)
	if n := strings.Count(out, "640x480\n"); n != 30 {
		t.Errorf("opencv has %d pictures:\n%s", n, out)
	}
	stamps := captured.FindAllStringSubmatch(out, -1)
	if len(stamps) != 30 {
		t.Errorf("opencv-stamps has %d pictures:\n%s", len(stamps), out)
	}
	for _, m := range stamps {
		if ms, err := strconv.ParseFloat(m[1], 64); err != nil || ms < 0 || ms > 20_000 {
			t.Errorf("captured %s ms ago, %v", m[1], err)
		}
	}
}

// vlc does not run as root.
func TestRecipeVLC(t *testing.T) {
	t.Parallel()
	need(t, "cvlc", "vlc-bin")
	p := pictures(t)
	dir, err := os.MkdirTemp("", "framepipe-vlc-") // where another user may write
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	command := strings.TrimSpace(p.recipe("README.md", "vlc")) + ` --no-audio --sout '#std{access=file,mux=mpjpeg,dst=out.mpjpeg}'`
	var nobody []string
	if os.Getuid() == 0 {
		need(t, "setpriv", "util-linux")
		nobody = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=" + dir}
		command = strings.Join(nobody, " ") + " " + command
	}
	ranWith(t, "VLC", "connect/README.md", append(nobody, "cvlc", "--version")...)
	out := shell(t, dir, "timeout -s INT 5 "+command+" || [ $? = 124 ]") // it goes on as long as the camera does
	probe, err := exec.Command("ffprobe", "-v", "error", "-f", "mpjpeg", "-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames", "-of", "csv=p=0", filepath.Join(dir, "out.mpjpeg")).CombinedOutput()
	kind, count, _ := strings.Cut(strings.TrimSpace(string(probe)), "480,")
	if n, _ := strconv.Atoi(strings.Trim(count, ",")); err != nil || kind != "mjpeg,640," || n < 20 {
		t.Errorf("it kept %s, %v\n%s", probe, err, out)
	}
}

func TestRecipeMotion(t *testing.T) {
	t.Parallel()
	need(t, "motion", "motion")
	ranWith(t, "motion", "connect/README.md", "motion", "-h")
	p, dir := pictures(t), t.TempDir()
	conf := p.recipe("README.md", "motion") + "target_dir " + dir + "\nemulate_motion on\npicture_output on\nmovie_output off\nwebcontrol_port 0\nstream_port 0\nminimum_motion_frames 1\n"
	file := filepath.Join(dir, "motion.conf")
	if err := os.WriteFile(file, []byte(conf), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "motion", "-n", "-c", file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &said, &said, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var found []string
	for end := time.Now().Add(patience); len(found) < 3 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		found, _ = filepath.Glob(filepath.Join(dir, "*.jpg")) // the pattern is well-formed
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	err := cmd.Wait()
	if len(found) < 3 {
		t.Fatalf("motion kept %d pictures, %v\n%s", len(found), err, &said)
	}
	if out := run(t, "ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", found[0]); strings.TrimSpace(out) != "640,480" {
		t.Errorf("motion kept pictures of %s", out)
	}
}

// Home Assistant's side of MQTT is a broker: a real one, that says what it was told.
func TestRecipeMQTT(t *testing.T) {
	t.Parallel()
	for name, pkg := range map[string]string{"mosquitto": "mosquitto", "mosquitto_pub": "mosquitto-clients", "curl": "curl"} {
		if _, err := os.Stat(filepath.Join("/usr/sbin", name)); err == nil {
			continue // not in everybody's path
		}
		need(t, name, pkg)
	}
	p := pictures(t)
	dir := t.TempDir()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	ln.Close()
	if err := os.WriteFile(filepath.Join(dir, "m.conf"), []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\npersistence false\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	background := func(name string, env []string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), append(env, "PATH="+os.Getenv("PATH")+":/usr/sbin")...)
		ownGroup(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			endGroup(cmd)
			_ = cmd.Wait() // it was ended
		})
		return cmd
	}
	broker := "mosquitto"
	if _, err := exec.LookPath(broker); err != nil {
		broker = "/usr/sbin/mosquitto"
	}
	ranWith(t, "mosquitto", "connect/README.md", broker, "-h")
	background(broker, nil, "-c", "m.conf")
	// told asks the broker for the next message on a topic.
	told := func(topic string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return exec.CommandContext(ctx, "mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-t", topic, "-C", "1", "-N").Output()
	}
	until := func(topic, want string) {
		t.Helper()
		got, err := []byte(nil), error(nil)
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if got, err = told(topic); err == nil && string(got) == want {
				return
			}
		}
		t.Fatalf("%s is %q, %v; want %q", topic, got, err, want)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			break
		}
	}
	script := filepath.Join(dir, "framepipe-mqtt")
	if err := os.WriteFile(script, []byte(p.recipe("home-assistant.md", "mqtt")), fs.FileMode(0o755)); err != nil {
		t.Fatal(err)
	}
	env := []string{"PAGE=" + strings.TrimSuffix(p.page, "/"), "CAMERA=pattern", "PORT=" + port, "EVERY=1"}
	running := background("sh", env, script)
	b, err := told("homeassistant/camera/framepipe_pattern/config")
	var config struct {
		ID        string `json:"unique_id"`
		Topic     string `json:"topic"`
		Available string `json:"availability_topic"`
		Device    struct {
			Identifiers []string `json:"identifiers"`
			URL         string   `json:"configuration_url"`
		} `json:"device"`
	}
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	if err != nil || config.ID == "" || config.Topic == "" || config.Available == "" || len(config.Device.Identifiers) != 1 || config.Device.URL == "" {
		t.Fatalf("discovery: %s, %v", b, err)
	}
	picture, err := told(config.Topic)
	if err != nil || !bytes.HasPrefix(picture, []byte("\xff\xd8")) || !bytes.HasSuffix(picture, []byte("\xff\xd9")) {
		t.Errorf("the picture has %d bytes, %v", len(picture), err)
	}
	until(config.Available, "online")

	// The camera goes, and is said to be gone; it comes back.
	p.stop()
	until(config.Available, "offline")
	again := start(t, "--source", "pattern", "-W", "640", "-H", "480", "--http", strings.TrimSuffix(strings.TrimPrefix(p.page, "http://"), "/"))
	again.picture()
	until(config.Available, "online")
	// The machine vanishes: the broker has the last word.
	killGroup(running)
	until(config.Available, "offline")
	// Ended in order, it says so itself.
	running = background("sh", env, script)
	until(config.Available, "online")
	endGroup(running)
	until(config.Available, "offline")
}

// Every named block of docs/connect is run by a test.
func TestEveryRecipeIsRun(t *testing.T) {
	tests, err := os.ReadFile("recipes_test.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../docs/connect/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range recipeBlock.FindAllStringSubmatch(string(b), -1) {
			found++
			if !strings.Contains(string(tests), fmt.Sprintf("p.recipe(%q, %q)", filepath.Base(f), m[1])) {
				t.Errorf("%s: no test runs the block %s", f, m[1])
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d blocks found", found)
	}
}

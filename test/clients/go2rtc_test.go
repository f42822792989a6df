//go:build peers

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// go2rtc reads our stream and gives it to others. No package of it is to be had, so
// this is not part of make test: PEER_GO2RTC names its binary.
func TestGo2rtc(t *testing.T) {
	binary := os.Getenv("PEER_GO2RTC")
	if binary == "" {
		t.Fatal("set PEER_GO2RTC to a go2rtc binary")
	}
	p, dir := pictures(t), t.TempDir()
	conf := "api: {listen: \"127.0.0.1:0\"}\nrtsp: {listen: \"127.0.0.1:18554\"}\nwebrtc: {listen: \"\"}\nstreams:\n  door: " + p.page + "stream\n"
	file := filepath.Join(dir, "go2rtc.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-config", file)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	var out []byte
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		out, err = exec.Command("ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", "rtsp://127.0.0.1:18554/door").CombinedOutput()
		if err == nil {
			break
		}
	}
	if err != nil || strings.TrimSpace(string(out)) != "mjpeg,640,480" {
		t.Fatalf("ffprobe: %s, %v", out, err)
	}
	run(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", "rtsp://127.0.0.1:18554/door", "-frames:v", "60", "-f", "null", "-")
}

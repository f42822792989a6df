//go:build peers

package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/test/browser/drive"
)

// go2rtc reads our stream and gives it to others: as it is over RTSP, and as H.264 over
// HLS and to a browser over WebRTC. No package of it is to be had, so this is not part
// of make test: PEER_GO2RTC names its binary. All of it is in a network namespace, from
// which nothing leads out.
func TestGo2rtc(t *testing.T) {
	go2rtc := os.Getenv("PEER_GO2RTC")
	if go2rtc == "" {
		t.Fatal("set PEER_GO2RTC to a go2rtc binary")
	}
	l, dir := newLAN(t), t.TempDir()
	l.ip("a", "addr", "add", "10.77.0.1/24", "dev", "eth0")
	l.start("a", "receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:8080", "--source", "pattern", "-W", "640", "-H", "480", "--fps", "30").says("the page is at")
	conf := `
api: {listen: "127.0.0.1:1984"}
rtsp: {listen: "127.0.0.1:8554"}
webrtc: {listen: "10.77.0.1:8555", candidates: ["10.77.0.1:8555"], ice_servers: []}
streams:
  door: http://127.0.0.1:8080/cameras/pattern/stream
  door_h264: ffmpeg:door#video=h264
`
	file := filepath.Join(dir, "go2rtc.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(go2rtc, "-version").CombinedOutput(); err == nil {
		t.Logf("%s", out)
	}
	cmd := l.command("a", go2rtc, "-config", file)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	// probe waits for a stream, and says what it is.
	probe := func(url string, args ...string) string {
		t.Helper()
		var out []byte
		var err error
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			out, err = l.command("a", "ffprobe", append([]string{"-v", "fatal", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"}, append(args, url)...)...).CombinedOutput()
			if err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("ffprobe %s: %s, %v", url, out, err)
		}
		kind, _, _ := strings.Cut(string(out), "\n") // HLS names it twice: of the program, and of the stream
		return kind
	}
	const rtsp, hls = "rtsp://127.0.0.1:8554/door", "http://127.0.0.1:1984/api/stream.m3u8?src=door_h264"
	if s := probe(rtsp, "-rtsp_transport", "tcp"); s != "mjpeg,640,480" {
		t.Errorf("over RTSP it is %s", s)
	}
	if out, err := l.command("a", "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", rtsp, "-frames:v", "60", "-f", "null", "-").CombinedOutput(); err != nil {
		t.Errorf("over RTSP: %v\n%s", err, out)
	}
	if s := probe(hls); s != "h264,640,480" {
		t.Errorf("over HLS it is %s", s)
	}
	if out, err := l.command("a", "ffmpeg", "-v", "fatal", "-i", hls, "-frames:v", "60", "-f", "null", "-").CombinedOutput(); err != nil {
		t.Errorf("over HLS: %v\n%s", err, out)
	}

	p := drive.Open(t, drive.Chromium(t, drive.In(l.prefix+"a")), "http://127.0.0.1:1984/stream.html?src=door_h264&mode=webrtc", 800, 600)
	p.Allowed("https://go2rtc.org/") // its page wants an icon from there
	p.Until("a picture over WebRTC", `(() => { const v = document.querySelector("video"); return v && v.srcObject instanceof MediaStream && v.videoWidth === 640 && v.videoHeight === 480; })()`)
	p.Until("pictures", `document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 30`)
	p.Shot("webrtc")
}

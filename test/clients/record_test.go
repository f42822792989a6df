package clients

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/replay"
	"framepipe/internal/record"
)

// count plays a recording with our player.
func count(t *testing.T, path string) (n int) {
	t.Helper()
	cam, err := replay.Open(t.Context(), "replay:"+path+"?rate=max", capture.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer cam.Close()
	for {
		f, err := cam.Next(t.Context())
		if err == io.EOF {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
		n++
	}
}

func (p *program) recording() (st record.Status) {
	p.Helper()
	p.get("record", &st)
	return st
}

func (p *program) get(what string, v any) {
	p.Helper()
	resp, err := http.Get(p.page + "cameras/pattern/" + what)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		p.Fatal(err)
	}
}

func (p *program) post(what, body string) (status int, text string) {
	p.Helper()
	resp, err := http.Post(p.page+"cameras/pattern/"+what, "application/json", strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// Killed at random moments, every frame that was said to be written is there, and
// ffprobe reads the file.
func TestKilledRecordings(t *testing.T) {
	need(t, "ffprobe", "ffmpeg")
	for range 5 {
		path := filepath.Join(t.TempDir(), "walk.mkv")
		p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "60", "--record", path)
		p.picture()
		time.Sleep(time.Duration(200+rand.IntN(800)) * time.Millisecond)
		st := p.recording()
		p.kill()
		n := count(t, path)
		t.Logf("%d frames were written when asked; %d are there after the kill", st.Frames, n)
		if n < int(st.Frames) || st.Frames == 0 {
			t.Errorf("%d frames are there, of %d", n, st.Frames)
		}
		out := run(t, "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", path)
		if !strings.HasPrefix(out, "mjpeg,") {
			t.Errorf("ffprobe: %s", out)
		}
	}
}

// Recorded by the page's address, fetched from it, and played through the whole
// program again with the same spacing.
func TestRecordAndReplay(t *testing.T) {
	p := start(t, "--source", "pattern", "-W", "320", "-H", "240", "--fps", "30")
	p.picture()
	if code, text := p.post("record", `{"recording":true}`); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	for end := time.Now().Add(patience); p.recording().Frames < 30 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if code, text := p.post("record", `{"recording":false}`); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	st := p.recording()
	if st.Recording || st.Frames < 30 || st.Lost.Total() > st.Frames/4 {
		t.Fatalf("%+v", st)
	}
	var files []struct {
		Name  string
		Bytes int64
	}
	resp, err := http.Get(p.page + "recordings")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&files); err != nil || len(files) != 1 || files[0].Name != filepath.Base(st.File) {
		t.Fatalf("%+v, %v", files, err)
	}
	resp, err = http.Get(p.page + "recordings/" + files[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || int64(len(b)) != files[0].Bytes || resp.Header.Get("Content-Type") != "video/x-matroska" {
		t.Errorf("fetched %d bytes of %d, %v", len(b), files[0].Bytes, err)
	}
	for _, bad := range []string{"..%2f..%2fetc%2fpasswd", "nothing.mkv", "%2e%2e", "a%00.mkv"} {
		if resp, err := http.Get(p.page + "recordings/" + bad); err != nil || resp.StatusCode == 200 {
			t.Errorf("recordings/%s: %v, %v", bad, resp, err)
		}
	}
	for _, bad := range []string{`{}`, `{"recording":1}`, `{"recording":true,"every_s":-1}`, `{"recording":true} x`, `[`} {
		if code, text := p.post("record", bad); code != 400 {
			t.Errorf("%s: %d %s", bad, code, text)
		}
	}
	// Played by `send` to another receiver, which records it again: the same times.
	again := filepath.Join(t.TempDir(), "again.mkv")
	q := start(t, "--record", again)
	run(t, binary, "send", "--source", "replay:"+filepath.Join(p.cmd.Dir, st.File), "--name", "pattern", q.tcp)
	for end := time.Now().Add(patience); q.recording().Frames < st.Frames && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	q.stop()
	if n := count(t, again); uint64(n) > st.Frames || uint64(n) < st.Frames*3/4 {
		t.Errorf("%d frames of %d came through the replay", n, st.Frames)
	}
}

// A disk of 2 MB: recording says that it is full and counts, the live view goes on,
// and when there is room it records on.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "framepipe-test", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a tmpfs: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "walk.mkv")
	p := start(t, "--source", "pattern", "-W", "640", "-H", "480", "--fps", "30", "--record", path)
	p.says("cannot record.*the disk is full")
	st := p.recording()
	if st.Error != "the disk is full" || st.Lost.Full == 0 {
		t.Errorf("%+v", st)
	}
	p.picture()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.says("recording goes on")
	for end := time.Now().Add(patience); p.recording().Frames <= st.Frames && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	after := p.recording()
	p.kill()
	if n := count(t, path); uint64(n) < after.Frames || after.Frames <= st.Frames {
		t.Errorf("%d frames are there; %d were written at first, %d later", n, st.Frames, after.Frames)
	}
}

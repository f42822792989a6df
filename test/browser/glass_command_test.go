package browser

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"framepipe/internal/glass"
)

// lines keeps what a program says.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The whole command: the grabbed screen is its camera, on standard input.
func TestGlassCommand(t *testing.T) {
	const width, height = 960, 600
	display := screen(t, width, height)
	binary := filepath.Join(t.TempDir(), "framepipe")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/framepipe").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	picture := filepath.Join(t.ArtifactDir(), "saw.png")
	cmd := exec.Command(binary, "glass", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--source", "-", "--readings", "60", "--for", "60s", "--json", "--picture", picture)
	var stdout bytes.Buffer
	var said lines
	cmd.Stdout, cmd.Stderr = &stdout, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	film(t, display, width, height, 1.5, func(jpeg []byte, _ time.Time) { in.Write(jpeg) })
	re := regexp.MustCompile(`show (http://\S+/glass) `)
	var m []string
	for end := time.Now().Add(patience); m == nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		m = re.FindStringSubmatch(said.String())
	}
	if m == nil {
		t.Fatalf("it does not name its page:\n%s", &said)
	}
	b := chromium(t, chromedp.Flag("headless", false), chromedp.Flag("kiosk", true), chromedp.Flag("enable-automation", false), chromedp.Flag("test-type", true), chromedp.Flag("window-position", "0,0"),
		chromedp.WindowSize(width, height), chromedp.Env("DISPLAY="+display))
	p := open(t, b, m[1], width, height)
	p.Allowed("WebSocket") // the command ends before the page does
	p.Allowed("ERR_")
	select {
	case err = <-ended:
	case <-time.After(patience + 30*time.Second):
		t.Fatalf("it does not end:\n%s", &said)
	}
	var s glass.State
	if err != nil || json.Unmarshal(stdout.Bytes(), &s) != nil {
		t.Fatalf("%v:\n%s%s", err, &stdout, &said)
	}
	if s.Read < 60 || s.P50 <= 0 || s.P50 > 500 || s.P99 < s.P50 || s.Bound <= 0 || s.Refresh < 10 || s.Synced == nil {
		t.Errorf("%s", &stdout)
	}
	if st, err := os.Stat(picture); err != nil || st.Size() < 1000 {
		t.Errorf("the picture: %v", err)
	}
	if !strings.Contains(said.String(), "the code is being read") {
		t.Errorf("it said:\n%s", &said)
	}
}

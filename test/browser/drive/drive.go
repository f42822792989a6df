// Package drive has a real Chromium, driven over its DevTools protocol, for tests: it
// opens pages, waits for what they are to show, collects what they complain about on
// their console, keeps screenshots among the test's artifacts, and reads the number of
// the synthetic camera's frame from them. What a page is to show is the affair of the
// tests that use it (package browser; packages, where the page comes from a service).
package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"framepipe/capture/pattern/timecode"
)

// Patience bounds every wait: long, because the machine may be busy.
const Patience = 40 * time.Second

// Chromium starts a browser, which ends with the test.
func Chromium(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("needs Chromium (apt-get install chromium)")
	}
	dir := t.TempDir()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", false))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(opts, more...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // starts it, without a deadline that would end it
		t.Fatal(err)
	}
	return ctx
}

// In has the browser run in a network namespace, as `ip netns` knows it. It is
// spoken to over a pipe.
func In(namespace string) chromedp.ExecAllocatorOption {
	return chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"ip", "netns", "exec", namespace, cmd.Path}, cmd.Args[1:]...)
		if cmd.Path, cmd.Err = exec.LookPath("ip"); cmd.Err != nil {
			cmd.Path = "ip"
		}
	})
}

// Tab is a page in the browser.
type Tab struct {
	*testing.T
	Ctx   context.Context
	close func()

	mu     sync.Mutex
	errors []string // guarded by mu; what the page complained about on its console
	allow  []string // guarded by mu; parts of messages that are no fault
}

// Open loads a page in a new tab of this size and collects its complaints.
// Less than 500 pixels wide, it is a phone: it has a finger, and no mouse.
func Open(t *testing.T, browser context.Context, url string, width, height int, before ...chromedp.Action[chromedp.Void]) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	p := &Tab{T: t, Ctx: ctx}
	var phone []chromedp.EmulateViewportOption
	if width < 500 {
		phone = append(phone, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	for _, a := range append(before, chromedp.EmulateViewport(int64(width), int64(height), phone...)) {
		if err := chromedp.Do(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	messages := chromedp.Console(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == "error" || m.Type == "warning" || m.IsException() {
				p.mu.Lock()
				p.errors = append(p.errors, fmt.Sprintf("%s %s %s:%d", m.Type, m.Text, m.URL, m.Line+1))
				p.mu.Unlock()
			}
		}
	}()
	p.close = sync.OnceFunc(func() {
		cancel()
		<-done
		p.Complaints()
	})
	t.Cleanup(p.close)
	p.Do("load "+url, chromedp.Navigate(url))
	return p
}

// Close closes the page, as the test's end does, and fails the test for its complaints.
func (p *Tab) Close() {
	p.Helper()
	p.close()
}

// Allowed says that complaints with this text are expected from now on.
func (p *Tab) Allowed(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allow = append(p.allow, text)
}

// Complaints fails the test for what the page wrote to its console.
func (p *Tab) Complaints() {
	p.mu.Lock()
	defer p.mu.Unlock()
next:
	for _, e := range p.errors {
		for _, a := range p.allow {
			if strings.Contains(e, a) {
				continue next
			}
		}
		p.Errorf("the page's console: %s", e)
	}
	p.errors = nil
}

// Do has the browser do something, or fails.
func (p *Tab) Do(what string, a chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, a); err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

// Eval runs JavaScript in the page.
func Eval[T any](p *Tab, js string) T {
	p.Helper()
	v, err := evaluate[T](p, js)
	if err != nil {
		p.Fatalf("%s: %v", js, err)
	}
	return v
}

func evaluate[T any](p *Tab, js string) (T, error) {
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// serverError is JSON-RPC's code for what went wrong in the browser and not in the script:
// among others, that the page which was asked is just being left for another one.
const serverError = -32000

// Until waits for a condition in the page, or in the one that comes after it.
func (p *Tab) Until(what, js string) {
	p.Helper()
	for end := time.Now().Add(Patience); ; time.Sleep(100 * time.Millisecond) {
		ok, err := evaluate[bool](p, "Boolean("+js+")")
		if e := (*cdproto.Error)(nil); err != nil && !(errors.As(err, &e) && e.Code == serverError) {
			p.Fatalf("%s: %s: %v", what, js, err)
		}
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			p.Shot("gave-up")
			p.Fatalf("%s: not within %v (%s; %v)", what, Patience, js, err)
		}
	}
}

// Capture is a screenshot, of a part of the page if clip says which.
func (p *Tab) Capture(clip *page.Viewport) []byte {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, Patience)
	defer cancel()
	b, err := chromedp.Run(ctx, func(ctx context.Context, _ *chromedp.Target) ([]byte, error) {
		r, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, Clip: clip})
		return r.Data, err
	})
	if err != nil {
		p.Fatalf("screenshot: %v", err)
	}
	return b
}

// Shot keeps a screenshot as the test's output.
func (p *Tab) Shot(name string) {
	p.Helper()
	dir := p.ArtifactDir()
	file := filepath.Join(dir, name+".png")
	if err := os.WriteFile(file, p.Capture(nil), 0o666); err != nil {
		p.Fatal(err)
	}
	p.Log("screenshot: " + file)
}

// ShownFrame reads the number of the frame that the page's picture shows.
func (p *Tab) ShownFrame() uint32 {
	p.Helper()
	var last string
	for range 20 {
		img := p.Picture()
		if n, _, ok := timecode.ReadCode(luma(img)); ok {
			return n
		}
		last = fmt.Sprintf("%v of the page", img.Bounds().Size())
		time.Sleep(50 * time.Millisecond)
	}
	p.Shot("unreadable")
	p.Fatalf("the picture's code cannot be read in %s", last)
	return 0
}

// Picture is what the page's canvas shows, the first one's if there are several.
func (p *Tab) Picture() image.Image {
	p.Helper()
	box := Eval[[]float64](p, `(() => { scrollTo(0, 0); const r = document.querySelector(".screen canvas").getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height]; })()`)
	b := p.Capture(&page.Viewport{X: box[0], Y: box[1], Width: box[2], Height: box[3], Scale: 1})
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		p.Fatal(err)
	}
	return img
}

// Advances fails unless the picture's number grows.
func (p *Tab) Advances() uint32 {
	p.Helper()
	first := p.ShownFrame()
	for end := time.Now().Add(Patience); ; {
		n := p.ShownFrame()
		if n > first {
			return n
		}
		if n < first || time.Now().After(end) {
			p.Shot("stands-still")
			p.Fatalf("the picture showed frame %d, and then %d", first, n)
		}
	}
}

func luma(m image.Image) (b []byte, w, h, stride int) {
	w, h = m.Bounds().Dx(), m.Bounds().Dy()
	b = make([]byte, w*h)
	for y := range h {
		for x := range w {
			b[y*w+x] = color.GrayModel.Convert(m.At(m.Bounds().Min.X+x, m.Bounds().Min.Y+y)).(color.Gray).Y
		}
	}
	return b, w, h, w
}

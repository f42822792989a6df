package browser

import (
	"context"
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

	"bytes"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"framepipe/capture/pattern/timecode"
)

// patience bounds every wait: long, because the machine may be busy.
const patience = 40 * time.Second

// chromium starts a browser, which ends with the test.
func chromium(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
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

// tab is a page in the browser.
type tab struct {
	*testing.T
	ctx context.Context

	mu     sync.Mutex
	errors []string // guarded by mu; what the page complained about on its console
	allow  []string // guarded by mu; parts of messages that are no fault
}

// open loads a page in a new tab of this size and collects its complaints.
// Less than 500 pixels wide, it is a phone: it has a finger, and no mouse.
func open(t *testing.T, browser context.Context, url string, width, height int, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	p := &tab{T: t, ctx: ctx}
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
	t.Cleanup(func() {
		cancel()
		<-done
		p.complaints()
	})
	p.do("load "+url, chromedp.Navigate(url))
	return p
}

// allowed says that complaints with this text are expected from now on.
func (p *tab) allowed(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allow = append(p.allow, text)
}

// complaints fails the test for what the page wrote to its console.
func (p *tab) complaints() {
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

func (p *tab) do(what string, a chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, a); err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

// eval runs JavaScript in the page.
func eval[T any](p *tab, js string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits for a condition in the page.
func (p *tab) until(what, js string) {
	p.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if eval[bool](p, "Boolean("+js+")") {
			return
		}
		if time.Now().After(end) {
			p.shot("gave-up")
			p.Fatalf("%s: not within %v (%s)", what, patience, js)
		}
	}
}

func (p *tab) capture(clip *page.Viewport) []byte {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
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

// shot keeps a screenshot as the test's output.
func (p *tab) shot(name string) {
	p.Helper()
	dir := p.ArtifactDir()
	file := filepath.Join(dir, name+".png")
	if err := os.WriteFile(file, p.capture(nil), 0o666); err != nil {
		p.Fatal(err)
	}
	p.Log("screenshot: " + file)
}

// shownFrame reads the number of the frame that the page's picture shows.
func (p *tab) shownFrame() uint32 {
	p.Helper()
	var last string
	for range 20 {
		box := eval[[]float64](p, `(() => { scrollTo(0, 0); const r = document.querySelector(".screen canvas").getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height]; })()`)
		b := p.capture(&page.Viewport{X: box[0], Y: box[1], Width: box[2], Height: box[3], Scale: 1})
		img, _, err := image.Decode(bytes.NewReader(b))
		if err != nil {
			p.Fatal(err)
		}
		if n, _, ok := timecode.ReadCode(luma(img)); ok {
			return n
		}
		last = fmt.Sprintf("%v of the page", box)
		time.Sleep(50 * time.Millisecond)
	}
	p.shot("unreadable")
	p.Fatalf("the picture's code cannot be read in %s", last)
	return 0
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

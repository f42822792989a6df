package browser

import (
	"fmt"
	"testing"
	"time"
)

func TestTwoViewersAndAHiddenTab(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", usual)
	one := open(t, b, r.url(), 1280, 800)
	two := open(t, b, r.url(), 800, 600)
	two.Until("the picture", `document.querySelector(".screen:not(.waiting) canvas")`)
	// The browser shows one tab at a time: the first is hidden now, or made to be.
	hide := func(p *tab, hidden bool) {
		p.Helper()
		eval[any](p, fmt.Sprintf(`(() => { Object.defineProperty(document, "hidden", { configurable: true, get: () => %v }); document.dispatchEvent(new Event("visibilitychange")); })()`, hidden))
	}
	hide(one, false)
	one.Until("the picture", `document.querySelector(".screen:not(.waiting) canvas")`)
	one.Advances()
	two.Advances()
	looking := func() (n int) {
		for _, d := range r.state("door").Displays {
			if d.Looking {
				n++
			}
		}
		return n
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, r.state("door").Displays)
			}
		}
	}
	wait("two look", func() bool { return looking() == 2 })
	hide(two, true)
	wait("one looks", func() bool { return looking() == 1 })
	one.Advances()
	hide(two, false)
	wait("two look again", func() bool { return looking() == 2 })
	two.Advances()

	// A camera that goes away: every page says so, with the cause, and says it once to
	// those who do not see it; when it is back, they go on.
	st := r.state("door").Camera
	r.sink["door"].SetState(st, "it was unplugged")
	for _, p := range []*tab{one, two} {
		p.Until("why there is no picture", `(() => { const n = document.querySelector(".nosignal"); return !n.hidden && n.querySelector("b").textContent === "NO SIGNAL" && n.textContent.includes("Camera not connected: it was unplugged."); })()`)
		p.Until("it is said", `document.querySelector(".screen [role=status]").textContent.startsWith("door: no signal.")`)
	}
	one.Until("nothing can be set", `document.querySelector("#settings").textContent.includes("Not connected.")`)
	one.Shot("no-signal")
	r.sink["door"].SetState(st, "")
	one.Until("it is back", `document.querySelector(".nosignal").hidden && document.querySelector(".screen [role=status]").textContent === "door is live again."`)
	one.Advances()
}

func TestReconnectsAfterARestart(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", usual)
	p := open(t, b, r.url(), 1280, 800)
	p.Until("the picture", `document.querySelector(".screen:not(.waiting) canvas")`)
	eval[any](p, `window.sameLife = true`)
	p.Advances()
	p.Allowed("ERR_CONNECTION")
	p.Allowed("WebSocket connection to")
	p.Allowed("ERR_EMPTY_RESPONSE")
	r.stop()
	p.Until("it says so", `!document.querySelector("#lost").hidden && document.querySelector(".nosignal b").textContent === "NO CONNECTION"`)
	p.Shot("lost")
	again := receive(t, r.addr, usual)
	p.Until("it is back", `document.querySelector("#lost").hidden && document.querySelector(".nosignal").hidden`)
	p.Advances()
	if !eval[bool](p, `window.sameLife === true`) {
		t.Error("the page was loaded anew")
	}
	if s := again.state("door"); len(s.Displays) != 1 {
		t.Errorf("%d viewers after the restart", len(s.Displays))
	}
}

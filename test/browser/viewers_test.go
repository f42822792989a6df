package browser

import (
	"fmt"
	"testing"
	"time"

	"framepipe/capture/pattern"
	"framepipe/measure"
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
	earlier := []*measure.Record{{Camera: "door", Run: "<b>1</b>", Number: 7, Complete: true, Frames: 12345, Began: time.Now()}, {Camera: "door", Run: "<b>1</b>", Number: 8, Frames: 77, Began: time.Now()}}
	again := receiveFrom(t, r.addr, usual, "pattern", pattern.Open, earlier...)
	p.Until("it is back", `document.querySelector("#lost").hidden && document.querySelector(".nosignal").hidden`)
	p.Advances()
	if !eval[bool](p, `window.sameLife === true`) {
		t.Error("the page was loaded anew")
	}
	if s := again.state("door"); len(s.Displays) != 1 {
		t.Errorf("%d viewers after the restart", len(s.Displays))
	}
	// Records of before are there, also while this run has none, and nobody takes both for one run.
	p.Until("records of an earlier run alone", `(() => {
		const rows = [...document.querySelectorAll("#main .scroll tbody tr")];
		return rows.length >= 3 && rows.at(-3).className === "earlier apart" && rows.at(-2).className === "earlier" && rows.at(-1).className === "earlier";
	})()`)
	p.Until("a record of this run above those of the earlier one", `(() => {
		const rows = [...document.querySelectorAll("#main .scroll tbody tr")].map((r) => [r.className, r.cells.length, r.cells[0].colSpan, r.innerText]);
		const k = rows.findIndex((r) => r[0] === "earlier apart");
		return k >= 1 && rows.length === k + 3 && rows.slice(0, k).every((r) => r[0] === "" && r[1] === 9 && r[2] === 1)
			&& rows[k][1] === 1 && rows[k][2] === 9 && /an earlier run, numbered apart; its last record began .*20\d\d/.test(rows[k][3])
			&& rows[k + 1][0] === "earlier" && rows[k + 1][1] === 9 && /^8 \*\s+77/.test(rows[k + 1][3]) && /^7\s/.test(rows[k + 2][3]);
	})()`)
	eval[any](p, `document.querySelector("#main .scroll").scrollIntoView({ block: "center" })`)
	p.Shot("earlier")
}

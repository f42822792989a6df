package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"framepipe/capture"
	"framepipe/frame"
)

const shortPlan = `name: format
description: JPEG or raw
factors:
  format: [jpeg, yuv, rgb]
records: 2
record-length: 1200ms
repeats: 2
warmup: 100ms
`

func (p *tab) click(selector string) {
	p.Helper()
	eval[any](p, fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// moves fails unless the picture changes; its number may begin anew, when the camera
// is opened with other settings.
func (p *tab) moves() {
	p.Helper()
	first := p.ShownFrame()
	for end := time.Now().Add(patience); p.ShownFrame() == first; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.Shot("stands-still")
			p.Fatalf("the picture stays at frame %d", first)
		}
	}
}

// themes takes a screenshot in dark and in light.
func (p *tab) themes(name string) {
	p.Helper()
	for _, theme := range []string{"dark", "light"} {
		p.Until(theme, `document.documentElement.dataset.theme === "`+theme+`" || (document.getElementById("theme").click(), false)`)
		p.Until("repainted", `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
		p.serves(name + " " + theme)
		p.Shot(name + "-" + theme)
	}
}

// A person starts an experiment on a camera, follows it, stops it, goes on with it,
// and opens its report, while the camera goes on being seen.
func TestExperimentOnThePage(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", map[string]capture.Config{"door": {Width: 320, Height: 240, FPS: 30, Format: frame.JPEG}, "roof": {Width: 320, Height: 240, FPS: 10, Format: frame.JPEG}})
	p := open(t, b, r.url(), 1280, 900)
	p.Until("the grid", `document.querySelectorAll("main.grid .tile .screen:not(.waiting)").length === 2`)
	p.Do("key e", chromedp.KeyEvent("e"))
	p.Until("the form", `document.querySelectorAll(".lab-preset").length > 5 && document.querySelector("#lab-camera").value === "door"`)
	p.Until("what a preset amounts to", `/^3 settings, 21 visits of 2 records of 2\ss: about 1\smin/.test(document.querySelector(".lab-outline").textContent)`)
	// Whatever can be changed has a name, for those who do not see it.
	if names := eval[[]string](p, `[...document.querySelectorAll(".lab input, .lab select, .lab textarea, .lab button, header button, header a")]
		.filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim() || e.title)).map((e) => e.outerHTML)`); len(names) > 0 {
		t.Errorf("without a name: %v", names)
	}
	p.themes("experiments-none")

	// A plan of one's own: mistakes are said while it is typed.
	p.click(`.lab-preset input[value=""]`)
	write := func(plan string) {
		eval[any](p, fmt.Sprintf(`(() => { const a = document.querySelector("#lab-plan"); a.value = %q; a.dispatchEvent(new Event("input")); })()`, plan))
	}
	if eval[bool](p, `document.querySelector("#lab-quick").checked`) {
		p.click("#lab-quick")
	}
	write("factors: {colour: [red]}")
	p.Until("the mistake", `document.querySelector(".lab-new .answer.bad").textContent.startsWith("plan:1: unknown factor \"colour\"")`)
	if !eval[bool](p, `document.querySelector(".lab-new button[type=submit]").disabled`) {
		t.Error("a plan with a mistake can be started")
	}
	p.Shot("experiments-mistake")
	write(shortPlan)
	p.Until("what it amounts to", `document.querySelector(".lab-outline").textContent.startsWith("3 settings, 6 visits of 2 records")`)
	p.click(".lab-new button[type=submit]")
	p.Until("it runs", `document.querySelector(".lab-run .lab-left")?.textContent.match(/\d/)`)
	p.Until("live figures", `parseFloat(document.querySelector(".lab-run .figures dd span").textContent) > 1`)
	p.Until("figures of a setting", `[...document.querySelectorAll(".lab-run .lab-bars td:nth-child(2)")].some((e) => e.textContent)`)
	p.moves() // the camera is seen while it is measured
	for _, size := range [][2]int{{360, 640}, {768, 1024}, {1280, 900}, {3840, 2160}} {
		p.Do("resize", chromedp.EmulateViewport(int64(size[0]), int64(size[1])))
		p.Until("repainted", `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
		if w := eval[[]int](p, `[document.documentElement.scrollWidth, document.documentElement.clientWidth]`); w[0] > w[1] {
			t.Errorf("the experiments are %d pixels wide in %d", w[0], w[1])
		}
		p.Shot(fmt.Sprintf("experiments-running-%dx%d", size[0], size[1]))
	}
	p.Do("resize", chromedp.EmulateViewport(1280, 900))
	p.click(".lab-run button.danger")
	p.Until("it is stopped", `!document.querySelector(".lab-run") && document.querySelector(".lab-one .chip")?.textContent === "stopped"`)

	// Going on, its settings are locked; in the end there is a conclusion.
	if !eval[bool](p, `document.querySelector(".lab-one").open`) {
		t.Error("what was just stopped is not open")
	}
	eval[any](p, `[...document.querySelectorAll(".lab-one button")].find((b) => b.textContent === "Go on").click()`)
	p.Until("it runs again", `document.querySelector(".lab-run")`)
	p.Do("another view", chromedp.Navigate(r.url()+"#/door"))
	p.Until("settings are locked", `document.querySelector("#settings .dim")?.textContent.includes("experiment format is being carried out")`)
	p.moves()
	p.click("#lab")
	p.Until("it is done", `document.querySelector(".lab-one .chip")?.textContent === "done"`)
	if !eval[bool](p, `document.querySelector(".lab-one").open`) {
		p.click(".lab-one > summary")
	}
	p.Until("its conclusion", `document.querySelectorAll(".lab-findings li").length > 1 && document.querySelector(".lab-one .best")`)
	if s := eval[string](p, `document.querySelector(".lab-one .command").textContent`); !strings.HasPrefix(s, "framepipe send ") {
		t.Errorf("the command to use is %q", s)
	}
	if st := r.state("door"); st.Camera.Format != "jpeg" {
		t.Errorf("the camera is left with format %s", st.Camera.Format)
	}
	p.themes("experiments-done")
	p.Do("resize", chromedp.EmulateViewport(360, 640))
	p.Shot("experiments-done-360x640")
	address := eval[string](p, `document.querySelector(".lab-one .button.primary").href`)

	// Back among the cameras, the pictures are where they were.
	p.Do("key Escape", chromedp.KeyEvent("\u001b"))
	p.Until("the grid", `document.querySelectorAll("main.grid .tile .screen canvas").length === 2`)
	p.Advances()
	report := open(t, b, address, 1000, 900)
	report.Until("the report", `document.querySelectorAll("svg").length > 2 && getComputedStyle(document.body).fontFamily !== "Times New Roman"`)
	report.Shot("report")
}

package browser

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/frame"
)

// readCode is the reader of capture/pattern/timecode in the page: it draws what an
// element shows now into a small canvas and finds the time in it. (The tests of
// that package say that the code is read right; here a checksum that fails is a
// frame that is not counted.)
const readCode = `
const small = new OffscreenCanvas(320, 240), at = small.getContext("2d", { willReadFrequently: true });
function readTime(e) {
  at.drawImage(e, 0, 0, 320, 240);
  const p = at.getImageData(0, 160, 320, 80).data;
  const bit = (i) => { const c = 1 + i % 18, r = Math.floor(i / 18); return p[4 * ((r * 16 + 8) * 320 + c * 16 + 8) + 1] > 128 ? 1 : 0; };
  const value = (from, n) => { let v = 0; for (let i = 0; i < n; i++) v = v * 2 + bit(from + i); return v; };
  const bytes = Array.from({ length: 9 }, (_, i) => value(8 * i, 8));
  let c = 0xffff;
  for (const b of bytes) { c ^= b << 8; for (let i = 0; i < 8; i++) c = c & 0x8000 ? ((c << 1) ^ 0x1021) & 0xffff : (c << 1) & 0xffff; }
  if (c !== value(72, 16)) return null;
  return { number: value(0, 32), ms: value(32, 40) / 10 };
}`

// The three ways in which browsers show a camera, held against each other in one
// run: for each new number, when the element first showed it after its capture.
// Sampled in animation frames, so each figure is up to a refresh late. The camera is a
// little slower than half the display's rate: at exactly that, the two stand at one
// phase for the length of a run, and the same browser shows a frame 6 or 18 ms after
// its capture, by chance; so a run goes through all phases.
func TestWaysToShowACamera(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", map[string]capture.Config{"door": {Width: 640, Height: 480, FPS: 29.9, Format: frame.JPEG}})
	p := open(t, b, r.url(), 1280, 800)
	p.Until("the picture", `document.querySelector(".screen:not(.waiting) canvas")`)
	p.Until("latency", `document.querySelector(".hud span:nth-child(3)").textContent`)
	// The page's clock minus the camera's, from this page's own exchanges.
	offset := func() float64 {
		for _, d := range r.state("door").Displays {
			if d.Clock != nil {
				return d.Clock.OffsetMs
			}
		}
		t.Fatal("the page's clock is not known")
		return 0
	}
	p50 := func(source string) float64 {
		t.Helper()
		ages := eval[[]float64](p, fmt.Sprintf(`(async () => {
			%s
			const source = %q, img = new Image();
			let e = document.querySelector(".screen canvas");
			if (source) { document.querySelector(".side").append(img); img.src = source; img.width = 320; e = img; }
			const ages = []; let last = -1;
			const end = performance.now() + 4000;
			while (performance.now() < end) {
				await new Promise(requestAnimationFrame);
				if (source && !img.naturalWidth) continue;
				const now = performance.timeOrigin + performance.now(), code = readTime(e);
				if (code && code.number !== last) { if (last >= 0) ages.push(now - code.ms); last = code.number; }
			}
			if (source) { img.src = ""; img.remove(); }
			return ages;
		})()`, readCode, source))
		if len(ages) < 20 {
			t.Fatalf("%q showed %d frames in 4 s", source, len(ages))
		}
		slices.Sort(ages)
		v := ages[len(ages)/2] - offset()
		t.Logf("%-28q %3d frames, capture to shown p50 %5.1f ms", source, len(ages), v)
		return v
	}
	var gain, canvas, image []float64
	for range 3 {
		plain, early, page := p50("cameras/door/stream?early=0"), p50("cameras/door/stream?early=1"), p50("")
		gain, canvas, image = append(gain, plain-early), append(canvas, page), append(image, early)
		if plain > early+15 {
			break
		}
		time.Sleep(time.Second) // something else ran meanwhile
	}
	// Without early headers a part is shown when the next one begins: one frame
	// later, which at 30 fps is 33 ms.
	if best := slices.Max(gain); best < 15 {
		t.Errorf("early headers gain %.1f ms at best, want about 33", best)
	}
	if best := slices.Min(image); best > goal(15, 250) {
		t.Errorf("an <img> with early headers takes %.1f ms", best)
	}
	if best := slices.Min(canvas); best < 0 || best > 250 {
		t.Errorf("the page's own way takes %.1f ms", best)
	}
}

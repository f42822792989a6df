package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"framepipe/camera"
	"framepipe/capture"
	"framepipe/capture/pattern"
	"framepipe/capture/replay"
	"framepipe/frame"
	"framepipe/internal/lab"
	"framepipe/internal/record"
	"framepipe/internal/web"
	"framepipe/measure"
	"framepipe/mjpeg"
	"framepipe/stream"
	"framepipe/wire"
)

// receiver is a receiver with its page and synthetic cameras of this machine.
type receiver struct {
	*testing.T
	addr string
	recv *stream.Receiver
	sink map[string]*stream.Local // of its cameras
	stop func()
}

// receive starts one; addr "" is any port. It ends with the test, or by stop.
func receive(t *testing.T, addr string, cams map[string]capture.Config) *receiver {
	t.Helper()
	return receiveFrom(t, addr, cams, "pattern", pattern.Open)
}

// clip is a file of pictures that are compressed already, so that a test of what is
// displayed does not also test the encoder beside a browser on the same processors.
func clip(t *testing.T) string {
	t.Helper()
	cam, err := pattern.Open(t.Context(), "pattern", capture.Config{Width: 640, Height: 480, FPS: 30})
	if err != nil {
		t.Fatal(err)
	}
	defer cam.Close()
	enc := mjpeg.NewEncoder()
	var all, one []byte
	for range 30 {
		f, err := cam.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		one, err = enc.Encode(one[:0], f, 85)
		f.Release()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one...)
	}
	name := filepath.Join(t.TempDir(), "clip.mjpeg")
	if err := os.WriteFile(name, all, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func receiveFrom(t *testing.T, addr string, cams map[string]capture.Config, source string, openSource func(context.Context, string, capture.Config) (capture.Camera, error), earlier ...*measure.Record) *receiver {
	t.Helper()
	recv := stream.NewReceiver(stream.ReceiverConfig{RecordLength: 2 * time.Second, Earlier: func(string) []*measure.Record { return earlier }})
	ctx, cancel := context.WithCancel(context.Background())
	var cameras []chan error
	sinks := make(map[string]*stream.Local)
	for _, name := range slices.Sorted(maps.Keys(cams)) {
		cfg := cams[name]
		sink, _, err := recv.Local(name)
		if err != nil {
			t.Fatal(err)
		}
		sinks[name] = sink
		cam := camera.New(camera.Config{Source: source, Capture: cfg, Open: openSource})
		state := func() wire.StateText {
			st := cam.State()
			controls, err := json.Marshal(st.Controls)
			info, err2 := json.Marshal(st.Info)
			if err := errors.Join(err, err2); err != nil {
				t.Error(err)
			}
			return wire.StateText{Mode: st.Info.Mode, Port: st.Info.Port, Format: st.Format.Word(), Width: st.Width, Height: st.Height, FPS: st.Info.FPS, Quality: st.Quality, Controls: controls, Camera: info}
		}
		sink.SetControl(func(ctx context.Context, set wire.Settings) wire.StateText {
			err := cam.Apply(ctx, set)
			st := state()
			sink.SetState(st, "")
			if err != nil {
				st.Error = err.Error()
			}
			return st
		})
		ended := make(chan error, 1)
		cameras = append(cameras, ended)
		go func() { ended <- cam.Run(ctx, sink) }()
		select {
		case <-cam.Opened():
		case <-time.After(patience):
			t.Fatal("the synthetic camera does not open")
		}
		sink.SetState(state(), "")
	}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	recorder := &record.Manager{Dir: t.TempDir()}
	lab := &lab.Manager{Dir: t.TempDir(), Context: ctx, Feeds: recv.Feeds, Log: slog.New(slog.DiscardHandler)}
	srv := &http.Server{Handler: web.New(web.Config{Cameras: recv, Recorder: recorder, Lab: lab, Version: "test", Reach: func(netip.Addr) web.Reach {
		return web.Reach{Address: "192.168.1.5", Name: "workshop"}
	}}), BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	r := &receiver{T: t, addr: ln.Addr().String(), recv: recv, sink: sinks}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		srv.Close()
		<-served
		lab.Wait()
		for _, c := range cameras {
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		if err := recorder.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
		recv.Finish()
	}
	t.Cleanup(r.stop)
	return r
}

func (r *receiver) url() string { return "http://" + r.addr + "/" }

func (r *receiver) state(camera string) (s web.State) {
	r.Helper()
	resp, err := http.Get(r.url() + "cameras/" + camera + "/state")
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		r.Fatal(err)
	}
	return s
}

var usual = map[string]capture.Config{"door": {Width: 640, Height: 480, FPS: 30, Format: frame.JPEG}}

func TestPictureFiguresAndSettings(t *testing.T) {
	b := chromium(t)
	r := receiveFrom(t, "", usual, "pattern", openWebcam)
	p := open(t, b, r.url(), 1280, 800)
	p.Until("the picture", `document.querySelector("main.one .screen:not(.waiting) canvas")`)
	p.Advances()
	p.Until("latency in the picture", `/^[\d.]+k?( ±[\d.]+)? ms$/.test(document.querySelector(".hud span:nth-child(3)").textContent)`)
	p.Until("frame rate in the picture", `parseFloat(document.querySelector(".hud span:nth-child(2)").textContent) > 5`)
	p.Until("charts", `document.querySelectorAll(".uplot canvas").length === 4`)
	p.Until("records", `document.querySelectorAll("#main .scroll tbody tr").length > 1`)
	if s := eval[string](p, `document.querySelector(".screen canvas").getAttribute("aria-label")`); !strings.Contains(s, "door") {
		t.Errorf("the picture is called %q", s)
	}

	// A setting, by the control that a person uses.
	p.Until("quality", `document.querySelector("#set-quality")?.value === "85"`)
	before := r.state("door").Live.FrameSize
	eval[any](p, `(() => { const q = document.querySelector("#set-quality"); q.value = 15; q.dispatchEvent(new Event("input")); q.dispatchEvent(new Event("change")); })()`)
	p.Until("the answer", `document.querySelector(".answer").textContent.includes("done")`)
	if s := r.state("door"); s.Camera.Quality != 15 {
		t.Errorf("the camera has quality %d", s.Camera.Quality)
	}
	var after int
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if after = r.state("door").Live.FrameSize; after < before*3/4 {
			break
		}
	}
	if after >= before*3/4 {
		t.Errorf("frames were %d bytes at quality 85, and are %d at 15", before, after)
	}
	p.Until("a mark for it", `document.querySelector(".marks").textContent.includes("quality 15")`)

	// The driver's controls, as it describes them: names, ranges, menus, and what is at
	// rest. Whatever the camera makes of a change is what is shown.
	if got := eval[string](p, `(() => { const f = document.querySelector("#set-control-brightness"), l = f.closest(".field");
		return [f.min, f.max, f.step, f.value, l.querySelector("label").textContent].join("|"); })()`); got != "-64|64|4|0|Brightness -64 to 64" {
		t.Errorf("brightness is shown as %q", got)
	}
	if got := eval[string](p, `[...document.querySelectorAll("#set-control-auto_exposure option")].map((o) => o.value + o.textContent).join("|")`); got != "1Manual Mode|3Aperture Priority Mode" {
		t.Errorf("the menu is %q", got)
	}
	if got := eval[string](p, `[...document.querySelectorAll("#set-size option, #set-fps option")].map((o) => o.textContent).join("|")`); got != "320 × 240, 60 fps|640 × 480, 30 fps|other …|30 fps|15 fps|7.5 fps|other …" {
		t.Errorf("sizes and rates are %q", got)
	}
	p.Until("exposure at rest", `document.querySelector("#set-control-exposure_time_absolute").disabled`)
	set := func(control, js string) {
		t.Helper()
		eval[any](p, fmt.Sprintf(`(() => { const e = document.querySelector("#set-control-%s"); %s })()`, control, js))
	}
	set("auto_exposure", `e.value = "1"; e.dispatchEvent(new Event("change"))`)
	p.Until("exposure can be set", `!document.querySelector("#set-control-exposure_time_absolute").disabled`)
	set("white_balance_automatic", `e.click()`)
	p.Until("it is off", `!document.querySelector("#set-control-white_balance_automatic").checked && document.querySelector(".marks").textContent.includes("white balance automatic 0")`)
	set("brightness", `const n = e.parentNode.querySelector("[type=number]"); n.value = 7; n.dispatchEvent(new Event("change"))`)
	p.Until("rounded as the driver does", `document.querySelector("#set-control-brightness").value === "4" && document.querySelector(".marks").textContent.includes("brightness 7")`)
	set("reset", `e.click()`)
	p.Until("reset", `document.querySelector("#set-control-brightness").value === "0"`)

	// One that is refused says why; it is told as an error of the request, too.
	p.Allowed("status of 400")
	eval[any](p, `(() => { const s = document.querySelector("#set-size"); s.value = "other"; s.dispatchEvent(new Event("change")); const o = document.querySelector("#set-size-other"); o.value = "99999x1"; o.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" })); })()`)
	p.Until("the refusal", `document.querySelector(".answer.bad")?.textContent.includes("use 1 to")`)
	p.Until("all is as before", `document.querySelector(".nosignal").hidden && document.querySelector("#set-size").value === "640x480"`)
	p.Shot("refused")
	eval[any](p, `document.activeElement.blur()`) // keys are for the field that has the focus

	// A recording, by keyboard and by button.
	p.Do("key v", chromedp.KeyEvent("v"))
	p.Until("REC in the picture", `/^REC 00:0/.test(document.querySelector(".hud-rec").textContent)`)
	p.Until("frames recorded", `/Recording for .*: [1-9]\d* frames/.test(document.querySelector("#recording .dim").textContent)`)
	p.Shot("recording")
	eval[any](p, `document.querySelector("button.record").click()`)
	p.Until("it is a file", `document.querySelector("#recording .files a")?.textContent.startsWith("door-")`)
	if s := r.state("door").Recording; s == nil || s.Recording || s.Frames == 0 || s.Error != "" {
		t.Errorf("the recording: %+v", s)
	}

	eval[any](p, `document.querySelector("#record-every").value = "1"`)
	p.Do("key v", chromedp.KeyEvent("v"))
	p.Until("a timelapse", `/Recording for .*: [1-9]\d* frames?, .*, one each 1 s/.test(document.querySelector("#recording .dim").textContent)`)
	p.Do("key v", chromedp.KeyEvent("v"))
	p.Until("it ended", `document.querySelector("#recording .dim").textContent.startsWith("Recorded") && document.querySelector("button.record").getAttribute("aria-pressed") === "false"`)

	// Freeze, turn, help, by keyboard.
	key := func(k string) { p.Do("key "+k, chromedp.KeyEvent(k)) }
	eval[any](p, `document.activeElement.blur()`)
	key(" ")
	p.Until("frozen", `!document.querySelector(".frozen").hidden`)
	still := p.ShownFrame()
	time.Sleep(500 * time.Millisecond)
	if n := p.ShownFrame(); n != still {
		t.Errorf("frozen at frame %d, it shows %d", still, n)
	}
	key("r")
	p.Until("turned", `document.querySelector(".screen canvas").height === 640`)
	p.Shot("turned")
	key("r")
	key("r")
	key("r")
	key(" ")
	p.Until("turned back", `document.querySelector(".screen canvas").height === 480`)
	if n := p.Advances(); n <= still {
		t.Errorf("after freezing at %d it shows %d", still, n)
	}

	// Full screen, with the buttons in it for who has no keyboard; a snapshot, of which
	// is said how it went.
	key("f")
	p.Until("full screen", `document.fullscreenElement?.querySelector(".toolbar button.record")`)
	key("s")
	p.Until("the snapshot", `/^Saved as door-\d{8}-\d{6}\.jpg$/.test(document.querySelector(".toast").textContent)`)
	p.Shot("full")
	key("f")
	p.Until("it is over", `!document.fullscreenElement && document.querySelector(".under .toolbar")`)
	// Where the browser has no full screen, as an iPhone's, it fills the window.
	eval[any](p, `document.querySelector(".stage").requestFullscreen = undefined`)
	key("f")
	p.Until("it fills the window", `(() => { const r = document.querySelector(".stage").getBoundingClientRect(); return r.width === innerWidth && r.height === innerHeight && document.querySelector(".stage .toolbar"); })()`)
	key("\u001b")
	p.Until("it is over, too", `document.querySelector(".under .toolbar") && document.querySelector("main.one")`)
	key("?")
	p.Until("help", `document.querySelector("#keys").open`)
	p.Shot("help")
	eval[any](p, `document.querySelector("#keys-on").click(); document.querySelector("#keys").close()`)
	key(" ")
	key("h")
	if eval[bool](p, `document.querySelector(".stage .frozen").hidden === false || document.body.classList.contains("nohud")`) {
		t.Error("single keys were turned off and do what they did")
	}
}

// What is displayed, of what the camera gives, and how late: bounds as wide as a
// busy machine needs.
func TestFramesAreDisplayed(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", usual)
	p := open(t, b, r.url(), 1280, 800)
	p.Until("the picture", `document.querySelector("main.one .screen:not(.waiting) canvas")`)
	p.Until("latency", `document.querySelector(".hud span:nth-child(3)").textContent`)
	share, last := 0.0, web.State{}
	for try := range 4 { // of five seconds each; the machine may do other things in one
		s0 := r.state("door")
		time.Sleep(5 * time.Second)
		last = r.state("door")
		if len(s0.Displays) != 1 || len(last.Displays) != 1 {
			t.Fatalf("%d and %d viewers", len(s0.Displays), len(last.Displays))
		}
		shown, delivered := last.Displays[0].Shown-s0.Displays[0].Shown, last.Live.Frames-s0.Live.Frames
		share = max(share, float64(shown)/float64(delivered))
		t.Logf("try %d: %d of %d frames displayed", try, shown, delivered)
		if share >= 0.9 {
			break
		}
	}
	d := last.Displays[0]
	if share < 0.9 {
		t.Errorf("%.0f %% of the frames were displayed, want 90 %%: %+v", 100*share, d.Displayed)
	}
	if d.Latency == nil || d.ClockError == nil || d.TotalDrawn == nil {
		t.Fatalf("latency is not known: %+v", d)
	}
	t.Logf("capture to screen, last seconds: p50 %.1f, p99 %.1f ms ± %.2f; to drawn: p50 %.1f ms; page's clock ± %.2f ms", d.Latency.P50, d.Latency.P99, *d.ClockError, d.TotalDrawn.P50, d.Clock.ErrorMs)
	if d.Latency.P50 < 1 || d.Latency.P50 > 250 || *d.ClockError <= 0 || *d.ClockError > 250 || d.Implausible > 0 {
		t.Errorf("capture to screen %+v ± %v, implausible %d", d.Latency, *d.ClockError, d.Implausible)
	}
	p.Shot("displayed")
}

// Four cameras at once, as tiles: what they give is displayed, by all of them
// about alike.
func TestFourCamerasAreDisplayed(t *testing.T) {
	b := chromium(t)
	cams := map[string]capture.Config{}
	for _, name := range []string{"east", "north", "south", "west"} {
		cams[name] = usual["door"]
	}
	r := receiveFrom(t, "", cams, "replay:"+clip(t)+"?loop=1", replay.Open)
	p := open(t, b, r.url(), 1280, 800)
	p.Until("all tiles", `document.querySelectorAll("main.grid .tile .screen:not(.waiting)").length === 4`)
	best := 0.0
	for try := range 4 {
		type counts struct{ shown, delivered int64 }
		now := func() (all []counts) {
			for _, f := range r.recv.Feeds() {
				s := r.state(f.Name())
				for end := time.Now().Add(patience); s.Displayed == nil; s = r.state(f.Name()) { // nothing is displayed yet
					if time.Now().After(end) {
						t.Fatalf("nothing of %s is displayed", f.Name())
					}
					time.Sleep(50 * time.Millisecond)
				}
				all = append(all, counts{s.Displayed.Shown, s.Live.Frames})
			}
			return all
		}
		before := now()
		time.Sleep(5 * time.Second)
		least, text := 1.0, ""
		for i, a := range now() {
			share := float64(a.shown-before[i].shown) / float64(a.delivered-before[i].delivered)
			least, text = min(least, share), text+fmt.Sprintf(" %.0f %%", 100*share)
		}
		t.Logf("try %d: displayed%s", try, text)
		if best = max(best, least); best >= goal(.97, .9) {
			break
		}
	}
	if best < goal(.97, .3) { // software rendering on two cores that may do other things
		t.Errorf("the camera that fares worst has %.0f %% of its frames displayed", 100*best)
	}
	p.Shot("four")
}

func TestSizes(t *testing.T) {
	b := chromium(t)
	cams := map[string]capture.Config{
		"door": {Width: 640, Height: 480, FPS: 10, Format: frame.JPEG}, "roof": {Width: 320, Height: 240, FPS: 10, Format: frame.I420}, "tall": {Width: 240, Height: 320, FPS: 10, Format: frame.RGB24},
	}
	r := receive(t, "", cams)
	for _, size := range [][2]int{{360, 640}, {768, 1024}, {1280, 800}, {1920, 1080}, {3840, 2160}} {
		one := map[int]string{1920: "roof", 3840: "tall"}[size[0]] // raw ones
		if one == "" {
			one = "door"
		}
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			for _, view := range []struct{ name, hash, ready string }{
				{"grid", "#/", `document.querySelectorAll("main.grid .tile").length === 3 && document.querySelector(".screen:not(.waiting) canvas")`},
				{"camera", "#/" + one, `document.querySelector("main.one .screen:not(.waiting) canvas") && document.querySelectorAll(".uplot").length === 4`},
			} {
				p := open(t, b, r.url()+view.hash, size[0], size[1])
				p.Until(view.name, view.ready)
				p.Advances()
				if w := eval[[]int](p, `[document.documentElement.scrollWidth, document.documentElement.clientWidth]`); w[0] > w[1] {
					t.Errorf("%s is %d pixels wide in %d", view.name, w[0], w[1])
				}
				for _, theme := range []string{"dark", "light"} {
					p.Until(theme, `document.documentElement.dataset.theme === "`+theme+`" || (document.getElementById("theme").click(), false)`)
					p.Until("repainted", `new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
					p.serves(view.name + " " + theme)
					p.Shot(fmt.Sprintf("%s-%s-%dx%d", view.name, theme, size[0], size[1]))
				}
			}
		})
	}
}

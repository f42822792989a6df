package browser

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// without takes something away from a browser before any page is loaded.
func without(js string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: js})
		return v, err
	}
}

// Before there is a camera the page says exactly what to type, where cameras get to
// this receiver: not the address that the browser happens to have.
func TestFirstLook(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", nil)
	p := open(t, b, r.url(), 360, 640)
	p.Until("the command", `document.querySelector(".empty .command")?.textContent === "framepipe send 192.168.1.5"`)
	p.Until("how else", `document.querySelector(".empty").textContent.includes("it finds this receiver, workshop, on its own network")`)
	p.serves("no camera")
	p.Shot("empty")
	// The audit finds what is wrong.
	wrong := eval[[]string](p, `(() => {
		const d = document.createElement("div");
		d.innerHTML = "<button></button><button>small</button><p>pale</p>";
		d.children[1].style.setProperty("min-height", "20px", "important");
		Object.assign(d.children[1].style, { height: "20px", padding: 0 });
		Object.assign(d.children[2].style, { color: "#777", background: "#888" });
		document.querySelector("#main").append(d);
		try { return `+audit+`; } finally { d.remove(); }
	})()`)
	if len(wrong) != 3 || !strings.HasPrefix(wrong[0], "without a name") || !strings.HasPrefix(wrong[1], "too small") || !strings.HasPrefix(wrong[2], "contrast 1.2") {
		t.Errorf("of three faults the audit finds %v", wrong)
	}
	p.click("#connect")
	p.Until("the same in the dialog", `document.querySelector("#connect-box .command").textContent === "framepipe send 192.168.1.5"`)
	if s := eval[string](p, `document.querySelector("#status").textContent + document.querySelector("#status").className`); s != "no camera" {
		t.Errorf("the state of nothing is %q", s)
	}
}

// A browser that cannot show the page shows the pictures, and says what it lacks; one
// that has no ImageDecoder, as over http from another machine, shows all of it.
func TestOldBrowsers(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", usual)
	old := open(t, b, r.url(), 800, 600, without(`delete window.ImageDecoder; delete window.createImageBitmap`))
	old.Until("pictures alone", `document.querySelector(".plain img")?.naturalWidth === 640`)
	old.Until("why", `document.querySelector(".plain").textContent.includes("It lacks ImageDecoder or createImageBitmap.")`)
	old.serves("plain")
	old.Shot("plain")
	plain := open(t, b, r.url(), 800, 600, without(`delete window.ImageDecoder`))
	plain.Until("the picture", `document.querySelector("main.one .screen:not(.waiting) canvas")`)
	plain.Advances()
}

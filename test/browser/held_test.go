package browser

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"framepipe/capture"
	"framepipe/frame"
)

// A page that is left open, and gone about in: what it holds does not grow. A
// shortened day: memory after a collection, nodes (those that are in no document
// any more, too) and listeners, some seconds apart.
func TestPageHoldsNoMore(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", map[string]capture.Config{"door": usual["door"], "roof": {Width: 320, Height: 240, FPS: 10, Format: frame.JPEG}})
	p := open(t, b, r.url()+"#/door", 1280, 800)
	ready := func() {
		t.Helper()
		p.Until("the picture", `document.querySelector("main.one .screen:not(.waiting) canvas")`)
		p.Until("charts", `document.querySelectorAll(".uplot canvas").length === 4`)
	}
	around := func() {
		t.Helper()
		for _, hash := range []string{"#/", "#experiments", "#/roof", "#/door"} {
			eval[any](p, fmt.Sprintf("location.hash = %q", hash))
			p.Until(hash, `document.querySelector({ "#/": "main.grid .tile", "#experiments": ".lab-preset" }["`+hash+`"] ?? "main.one .uplot canvas")`)
		}
		ready()
	}
	ready()
	around()
	measure := func() map[string]float64 {
		ctx, cancel := context.WithTimeout(p.Ctx, patience)
		defer cancel()
		all, err := chromedp.Run(ctx, func(ctx context.Context, _ *chromedp.Target) (performance.GetMetricsResult, error) {
			if _, err := chromedp.Call(ctx, performance.Enable, performance.EnableParams{}); err != nil {
				return performance.GetMetricsResult{}, err
			}
			if _, err := chromedp.Call(ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
				return performance.GetMetricsResult{}, err
			}
			return chromedp.Call(ctx, performance.GetMetrics, cdp.Empty{})
		})
		if err != nil {
			t.Fatal(err)
		}
		held := make(map[string]float64)
		for _, m := range all.Metrics {
			held[m.Name] = m.Value
		}
		// The table of records grows to a hundred rows, and is meant to.
		held["Nodes"] -= eval[float64](p, `(() => { const w = document.createTreeWalker(document.querySelector("#main .scroll tbody")); let n = 0; while (w.nextNode()) n++; return n; })()`)
		return held
	}
	time.Sleep(4 * time.Second)
	early := measure()
	const rounds = 4
	for end := time.Now().Add(soak()); time.Now().Before(end); {
		for range rounds {
			around()
		}
		time.Sleep(2 * time.Second)
	}
	late := measure()
	for _, c := range []struct {
		what string
		more float64
	}{
		// Ten minutes of charts and a hundred records are kept, so some growth is meant: 30
		// frames a second that stayed would be hundreds of pictures and megabytes by now, and
		// a view that stayed some hundred nodes and dozens of listeners each time.
		{"JSHeapUsedSize", 1.5e6}, {"Nodes", 150}, {"JSEventListeners", 20}, {"Documents", 1},
	} {
		t.Logf("%s: %.0f, later %.0f", c.what, early[c.what], late[c.what])
		if early[c.what] == 0 || late[c.what] > early[c.what]+c.more {
			t.Errorf("%s grows: %.0f, then %.0f", c.what, early[c.what], late[c.what])
		}
	}
}

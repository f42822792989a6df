package browser

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"framepipe/test/browser/drive"
)

const patience = drive.Patience

// tab is a page of ours.
type tab struct{ *drive.Tab }

func chromium(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	return drive.Chromium(t, more...)
}

func open(t *testing.T, browser context.Context, url string, width, height int, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	return &tab{drive.Open(t, browser, url, width, height, before...)}
}

func eval[T any](p *tab, js string) T {
	p.Helper()
	return drive.Eval[T](p.Tab, js)
}

package browser

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"framepipe/capture"
	"framepipe/internal/secure"
	"framepipe/internal/web"
)

// A person without the token sees the login and nothing else; with it the page, its
// pictures and its figures, over https with the receiver's own certificate, and neither complains
// about the content security policy (tab's clean-up fails for whatever the console says).
func TestLogin(t *testing.T) {
	r := receive(t, "", map[string]capture.Config{"door": {Width: 320, Height: 240, FPS: 15, Quality: 80}})
	keys, err := secure.NewKeys("correct-horse-battery-staple")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := secure.KeepCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: web.New(web.Config{Cameras: r.recv, Version: "test", Guard: &web.Guard{Keys: keys, Failures: new(secure.Failures), Connect: "framepipe://token@192.168.1.5:1308/pin"}})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(web.SpeakTLS(ln, secure.ServerConfig(cert, nil), nil)) }()
	t.Cleanup(func() { srv.Close(); <-done })
	browser := chromium(t, chromedp.Flag("ignore-certificate-errors", true))
	p := open(t, browser, "https://"+ln.Addr().String()+"/", 1000, 700)
	p.Until("the login", `location.pathname === "/login" && document.querySelector("#token")`)
	if eval[string](p, `document.cookie`) != "" {
		t.Error("there is a cookie before the login")
	}
	// The answer is there before the page is left: the form goes with the next turn.
	enter := func(token string) {
		t.Helper()
		eval[bool](p, fmt.Sprintf(`(() => { document.querySelector("#token").value = %q; setTimeout(() => document.forms[0].submit()); return true; })()`, token))
	}
	p.Allowed("401") // the browser itself says that a wrong token was answered so
	enter("wrong")
	p.Until("what was wrong", `document.querySelector("[role=alert]")?.textContent.includes("not the token")`)
	enter("correct-horse-battery-staple")
	p.Until("the page", `location.pathname === "/" && document.querySelector(".screen canvas")?.width > 0`)
	p.ShownFrame()
	page := "https://" + ln.Addr().String() + "/"
	if got := eval[string](p, `[document.cookie, location.href, document.referrer].join(" ")`); got != " "+page+" "+page+"login" && got != " "+page+" " {
		t.Errorf("a script can read the cookie, or address or referrer has more in it than the page: %q", got)
	}

	// Who may change things sees how another camera is connected, as text and as a QR
	// code, and only while the dialog is open.
	p.Until("the button", `!document.querySelector("#connect").hidden`)
	p.click("#connect")
	p.Until("the connect string", `document.querySelector("#connect-command")?.textContent === "framepipe send framepipe://token@192.168.1.5:1308/pin"`)
	p.Until("its picture", `document.querySelector("#connect-code")?.naturalWidth > 50`)
	p.Shot("connect")
	eval[bool](p, `(() => { document.querySelector("#connect-box").close(); return true; })()`)
	p.Until("it is gone", `!document.querySelector("#connect-box").textContent.includes("pin")`)

	// Whose login is over is sent there, and not told that the connection is lost.
	p.click("#logout")
	p.Until("the login again", `location.pathname === "/login" && document.querySelector("#token")`)
	p.serves("login")
	p.Shot("login")
	enter("correct-horse-battery-staple")
	p.Until("the page again", `location.pathname === "/" && document.querySelector(".screen canvas")?.width > 0`)
	if err := chromedp.Do(p.Ctx, func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, network.ClearBrowserCookies, cdp.Empty{})
		return v, err
	}); err != nil {
		t.Fatal(err)
	}
	p.Until("it asks for the token", `location.pathname === "/login"`)
}

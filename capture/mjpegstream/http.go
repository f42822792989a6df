package mjpegstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"framepipe/capture"
	"framepipe/internal/rawio"
	"framepipe/mjpeg"
)

// timeouts of an HTTP camera.
type timeouts struct {
	dial, headers, first, stall time.Duration
}

var defaultTimeouts = timeouts{dial: 2 * time.Second, headers: 10 * time.Second, first: 10 * time.Second, stall: 10 * time.Second}

func openHTTP(ctx context.Context, spec string, cfg capture.Config) (capture.Camera, error) {
	c, err := openHTTPWithin(ctx, spec, cfg, defaultTimeouts)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func openHTTPWithin(ctx context.Context, spec string, cfg capture.Config, limit timeouts) (*camera, error) {
	name := redact(spec)
	u, err := url.Parse(spec)
	if err != nil || u.Host == "" {
		return nil, &capture.Error{Op: "open " + name, Err: errors.New("not a usable address"), Hint: "it has to look like http://192.168.0.20:8080/stream", Config: true}
	}
	dialer := &net.Dialer{Timeout: limit.dial}
	tr := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: rawio.Wrap(c), limit: limit.stall}, nil
		},
		TLSHandshakeTimeout: limit.dial, ResponseHeaderTimeout: limit.headers,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, DisableKeepAlives: true,
	}
	// The response outlives Open, so its context is the camera's.
	life, cancel := context.WithCancel(context.Background())
	stopWatching := context.AfterFunc(ctx, cancel)
	fail := func(e *capture.Error) (*camera, error) {
		stopWatching()
		cancel()
		tr.CloseIdleConnections()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e.Op = "open " + name
		return nil, e
	}
	req, err := http.NewRequestWithContext(life, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(&capture.Error{Err: errors.New("not a usable address"), Config: true})
	}
	req.Header.Set("User-Agent", "framepipe")
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return fail(&capture.Error{Err: fmt.Errorf("%w: %w", capture.ErrGone, plain(err)), Hint: "is the camera on, and reachable from here?"})
	}
	if e := refuse(resp); e != nil {
		resp.Body.Close()
		return fail(e)
	}
	media, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	c := newCamera(cfg, resp.Body, capture.Info{Source: name, Name: u.Host, Driver: strings.TrimSpace("http " + media)})
	if b := strings.TrimLeft(params["boundary"], "-"); b != "" {
		c.boundary = []byte(b)
	}
	c.wrapErr = func(err error) error {
		switch {
		case errors.Is(err, io.EOF):
			err = errors.New("the server ended the stream")
		case errors.Is(err, mjpeg.ErrNoPicture), errors.Is(err, mjpeg.ErrTooLong):
			return &capture.Error{Op: "read " + name, Err: err, Hint: "is this the address of an MJPEG stream?"}
		}
		return &capture.Error{Op: "read " + name, Err: fmt.Errorf("%w: %w", capture.ErrGone, plain(err))}
	}
	c.stop = func() error {
		cancel()
		resp.Body.Close()
		tr.CloseIdleConnections()
		return nil
	}
	c.start()
	// Only a picture shows that this is a camera, and how large its frames are.
	first, cancelFirst := context.WithTimeout(ctx, limit.first)
	defer cancelFirst()
	if err := c.slot.Await(first); err != nil {
		c.Close()
		if e, ok := errors.AsType[*capture.Error](err); ok {
			return fail(&capture.Error{Err: e.Err, Hint: e.Hint})
		}
		return fail(&capture.Error{Err: fmt.Errorf("%w: no picture came within %v", capture.ErrGone, limit.first)})
	}
	if !stopWatching() { // ctx ended, and the response with it
		c.Close()
		return nil, ctx.Err()
	}
	return c, nil
}

// refuse says why a response is no camera.
func refuse(resp *http.Response) *capture.Error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		e := &capture.Error{Err: errors.New("the camera wants a user name and a password"), Hint: "give them in the address: http://USER:PASSWORD@HOST/", Config: true}
		if kind, _, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " "); strings.EqualFold(kind, "digest") {
			e.Err = errors.New("the camera wants digest authentication, which is not supported")
			e.Hint = "switch the camera to basic authentication"
		}
		return e
	case resp.StatusCode >= 500:
		return &capture.Error{Err: fmt.Errorf("%w: the server answers %d %s", capture.ErrGone, resp.StatusCode, http.StatusText(resp.StatusCode)), Hint: "cameras often serve one viewer only: is another one connected?"}
	case resp.StatusCode != http.StatusOK:
		return &capture.Error{Err: fmt.Errorf("the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)), Hint: streamHint, Config: true}
	case media == "text/html":
		return &capture.Error{Err: errors.New("this is a web page, not a stream"), Hint: streamHint, Config: true}
	}
	return nil
}

const streamHint = "give the address of the stream itself: /?action=stream (mjpg-streamer), :81/stream (ESP32-CAM), /stream (ustreamer), /api/stream.mjpeg?src=NAME (go2rtc)"

// plain takes the address out of net/http's errors: it may hold a password.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// redact is the address without what may be secret in it: user and password, and
// the values of a query but for those that say which stream is meant.
func redact(spec string) string {
	u, err := url.Parse(spec)
	if err != nil {
		scheme, _, _ := strings.Cut(spec, ":")
		return scheme + "://…"
	}
	u.User, u.Fragment = nil, ""
	q := u.Query()
	for k := range q {
		switch k {
		case "action", "src", "channel", "camera":
		default:
			q.Set(k, "x")
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// stallConn fails when nothing has come for a while, an eighth of which more or less.
type stallConn struct {
	net.Conn
	limit time.Duration
	armed time.Time // when the deadline was last set, which costs more than a look at the clock
}

func (c *stallConn) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(c.armed) > c.limit/8 {
		c.armed = now
		if err := c.SetReadDeadline(now.Add(c.limit + c.limit/8)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

// cutAtBoundary shortens a picture that has no end marker and runs into the next
// part's boundary.
func cutAtBoundary(b, boundary []byte) []byte {
	if len(boundary) == 0 || bytes.HasSuffix(b, []byte{0xff, 0xd9}) {
		return b
	}
	from := max(0, len(b)-4096)
	k := bytes.LastIndex(b[from:], boundary)
	if k < 0 {
		return b
	}
	cut := bytes.TrimSuffix(b[:from+k], []byte("--"))
	cut = bytes.TrimSuffix(bytes.TrimSuffix(cut, []byte("\n")), []byte("\r"))
	if len(cut) < 4 { // a boundary that pictures begin with is none
		return b
	}
	return cut
}

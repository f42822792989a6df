package app

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/internal/secure"
	"framepipe/stream"
)

// A peer that makes faults all day fills no disk, and what was left out is said.
func TestPeersCannotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l, budget := limitLog(slog.New(slog.NewTextHandler(&b, nil)), logLines)
		peer := l.With("peer", "192.0.2.1:5")
		for range 100_000 { // over 100 s
			peer.Warn("refused")
			time.Sleep(time.Millisecond)
		}
		l.Warn("our own")
		lines := strings.Count(b.String(), "\n")
		if lines < logLines+45 || lines > logLines+55 {
			t.Errorf("%d lines", lines)
		}
		if !strings.Contains(b.String(), "lines_left_out=1999") || !strings.Contains(b.String(), "our own") {
			t.Errorf("the log:\n%s", b.String())
		}
		if got := budget.limit(); got.Name != "max-log-lines" || got.Limit != logLines || got.Hits+uint64(lines) != 100_001 {
			t.Errorf("%+v with %d lines", got, lines)
		}
	})
}

func TestConnectStringsAreReadAsWritten(t *testing.T) {
	pin := secure.Pin{7, 8, 9}
	for _, c := range []secure.Connect{
		{Address: "192.168.1.5:1308", Token: "abc", Pin: &pin},
		{Address: "[fe80::1]:99", Token: `p@ss/w%rd?#"'é`, Pin: &pin},
		{Address: "cam.local:1308", Pin: &pin},
		{Address: "cam.local:1308", Token: "abc"},
	} {
		got, err := secure.ParseConnect(c.String(), 1308)
		if err != nil || got.Address != c.Address || got.Token != c.Token || (got.Pin == nil) != (c.Pin == nil) || got.Pin != nil && *got.Pin != *c.Pin {
			t.Errorf("%s: %+v, %v", c, got, err)
		}
		if text, err := secure.QRText(c.String()); err != nil || strings.Count(text, "\n") < 12 {
			t.Errorf("QR code of %s: %v", c, err)
		}
	}
	if c, err := secure.ParseConnect("framepipe://s3cret@cam", 1308); err != nil || c.Address != "cam:1308" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"framepipe://", "framepipe://s3cret@cam/short", "framepipe://s3cret:x@cam", "framepipe://s3cret@cam?x", "framepipe://%zz@cam"} {
		if _, err := secure.ParseConnect(bad, 1308); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// What a page tells people to type on the camera's machine: never this machine's
// loopback address, unless cameras of other machines cannot come at all.
func TestHowCamerasGetHere(t *testing.T) {
	lan := netip.MustParseAddr("192.168.1.5")
	for _, c := range []struct {
		listen, seen, want string
		local              bool
	}{
		{"0.0.0.0:1308", "192.168.1.5", "192.168.1.5", false},
		{"[::]:1308", "192.168.1.5", "192.168.1.5", false},
		{"[::]:1309", "192.168.1.5", "192.168.1.5:1309", false},
		{"[::]:1308", "fd00::7", "[fd00::7]:1308", false},
		{"10.0.0.7:1308", "127.0.0.1", "10.0.0.7", false},
		{"127.0.0.1:1308", "127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1:7", lan.String(), "127.0.0.1:7", true},
		{"[::]:1308", "127.0.0.1", reachable(), false},
	} {
		a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.listen))
		got := (&receiving{listens: a}).reach(netip.MustParseAddr(c.seen))
		if got.Address != c.want || got.Local != c.local || got.Name != "" {
			t.Errorf("listening on %s, asked for at %s: %+v", c.listen, c.seen, got)
		}
	}
}

// Somebody with a few pages of as many cameras as there may be is no attacker. (A
// browser keeps six connections to a server beside the WebSockets.)
func TestPagesOfManyCamerasAreLetIn(t *testing.T) {
	if most, pages := pageConns*stream.DefaultPerAddress, 4*(stream.DefaultMaxCameras+6); most < pages {
		t.Errorf("one address may have %d connections, four pages have %d", most, pages)
	}
}

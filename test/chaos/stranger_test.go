//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"framepipe/internal/netem"
	"framepipe/wire"
)

// Without a token, who comes from an address that the internet carries is sent away by both
// ports, whatever it speaks; who comes from a local one is served. With a token, the
// address does not matter. Real packets from real addresses, over a link between two
// namespaces.
func TestStrangersAreSentAway(t *testing.T) {
	if err := netem.Possible(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	link, err := netem.New(netem.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- link.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
		if err := link.Close(); err != nil {
			t.Error(err)
		}
	}()
	ip := func(side netem.Side, args ...string) {
		t.Helper()
		if out, err := link.Exec(ctx, side, "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	// The link carries IPv4 alone; who has an IPv6 address is in the receiver's namespace.
	if out, err := link.Exec(ctx, netem.B, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/all/disable_ipv6").CombinedOutput(); err != nil {
		t.Fatalf("IPv6: %v: %s", err, out)
	}
	// Documentation's addresses stand for public ones, which they are to any program.
	sources := []struct {
		addr  string
		local bool
	}{
		{"10.20.30.40", true}, {"172.16.5.5", true}, {"172.31.255.254", true}, {"192.168.1.20", true}, {"169.254.7.8", true}, {"fd12:3456::9", true}, {"fe80::77:1", true},
		{"203.0.113.5", false}, {"198.51.100.77", false}, {"172.32.0.1", false}, {"192.169.0.1", false}, {"100.64.0.9", false}, {"2001:db8::5", false},
	}
	for _, s := range sources {
		if strings.Contains(s.addr, ":") {
			ip(netem.B, "addr", "add", s.addr+"/128", "dev", link.B.Device, "nodad")
			continue
		}
		ip(netem.A, "addr", "add", s.addr+"/32", "dev", link.A.Device)
		ip(netem.B, "route", "add", s.addr+"/32", "dev", link.B.Device)
	}
	from := func(source, port string) (conn net.Conn) {
		t.Helper()
		side, src, to := netem.A, &net.TCPAddr{IP: net.ParseIP(source)}, link.B.Addr.String()
		if src.IP.To4() == nil {
			side, to = netem.B, source
			if src.IP.IsLinkLocalUnicast() {
				src.Zone = link.B.Device
				to += "%" + src.Zone
			}
		}
		err := link.Do(side, func() (err error) {
			conn, err = (&net.Dialer{LocalAddr: src, Timeout: patience}).DialContext(ctx, "tcp", net.JoinHostPort(to, port))
			return err
		})
		if err != nil {
			t.Fatalf("from %s: %v", source, err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	ask := func(source, token string) (status int, body string) {
		t.Helper()
		conn := from(source, httpPort)
		defer conn.Close()
		host, _, _ := strings.Cut(conn.RemoteAddr().String(), "%")
		if strings.HasPrefix(host, "[") {
			host = strings.TrimSuffix(host, "]:"+httpPort) + "]:" + httpPort
		}
		fmt.Fprintf(conn, "GET /cameras HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", host, token)
		a, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("from %s: %v", source, err)
			return 0, ""
		}
		b, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(b)
	}
	receive := func(args ...string) *process {
		t.Helper()
		p, err := start("receive", link.B.Namespace, 0, nil, append([]string{program, "receive", "--listen", ":" + camPort, "--http", ":" + httpPort, "--keep-records=false", "--announce", "", "--max-cameras", "50", "--max-log-lines", "1000", "--handshake-timeout", "2s", "--idle-timeout", "3s"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.kill)
		eventually(t, "the page", func() bool { return strings.Contains(p.stderr(), "the page is at") }, p.stderr)
		return p
	}
	recv := receive()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return link.DialIn(ctx, netem.B, network, addr)
	}}}
	cameras := func() (names []string) {
		a, err := client.Get("http://127.0.0.1:" + httpPort + "/cameras")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		var all []struct{ Name string }
		if err := json.NewDecoder(a.Body).Decode(&all); err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			names = append(names, c.Name)
		}
		return names
	}
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 32, 32)), nil); err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool { return strings.Contains(" "+strings.Join(cameras(), " ")+" ", " "+name+" ") }
	for i, s := range sources {
		refused := func(what string, conn net.Conn) {
			t.Helper()
			if b, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s from %s is not sent away: %v, it got %q", what, s.addr, err, b)
			}
		}
		v1, name := from(s.addr, camPort), fmt.Sprintf("v1-%d", i)
		text := fmt.Sprintf(`{"name":%q}`, name)
		_, _ = v1.Write(append((&wire.Hello{Version: wire.Version, Session: uint64(i + 1)}).Append(append([]byte{}, wire.Preamble[:]...), len(text)), text...))
		v0, name0 := from(s.addr, camPort), "v0-"+strings.Trim(strings.ReplaceAll(s.addr, ":", "-"), "-.")
		if strings.HasPrefix(s.addr, "fe80") {
			name0 += "-" + link.B.Device
		}
		_, _ = v0.Write(append(wire.AppendV0(nil, uint32(picture.Len())), picture.Bytes()...))
		if s.local {
			eventually(t, "v1 from "+s.addr, func() bool { return has(name) }, recv.stderr)
			eventually(t, "v0 from "+s.addr+" as "+name0, func() bool { return has(name0) }, recv.stderr)
		} else {
			refused("v1", v1)
			refused("v0", v0)
			if has(name) || has(name0) {
				t.Errorf("a camera from %s is there: %v", s.addr, cameras())
			}
			told := s.addr + " is not a local or private address: start the receiver with --token to accept it"
			eventually(t, "two warnings about "+s.addr, func() bool { return strings.Count(recv.stderr(), told) == 2 }, recv.stderr)
		}
		v1.Close()
		v0.Close()
		want := http.StatusForbidden
		if s.local {
			want = http.StatusOK
		}
		if status, body := ask(s.addr, ""); status != want || !s.local && (!strings.Contains(body, "--token") || strings.Contains(body, "v1-")) {
			t.Errorf("HTTP from %s: %d %s", s.addr, status, body)
		}
	}
	if _, err := recv.stop(stopWithin); err != nil {
		t.Error(err)
	}

	const token = "a-token-of-twenty-letters"
	recv = receive("--token", token, "--http-plain", "--state", t.TempDir())
	for _, source := range []string{"203.0.113.5", "2001:db8::5", "192.168.1.20"} {
		if status, _ := ask(source, token); status != http.StatusOK {
			t.Errorf("with the token, HTTP from %s: %d", source, status)
		}
		if status, _ := ask(source, ""); status != http.StatusUnauthorized {
			t.Errorf("without it, HTTP from %s: %d", source, status)
		}
	}
	// The real sender, from a public address.
	ip(netem.A, "route", "replace", link.B.Addr.String(), "dev", link.A.Device, "src", "203.0.113.5")
	send, err := start("send", link.A.Namespace, 0, nil, program, "send", "--source", "pattern", "--warmup", "0s", "--frames", "5", "--name", "far", "--token", token, link.B.Addr.String()+":"+camPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(send.kill)
	eventually(t, "frames of a sender far away, with the token", func() bool { return send.ended() }, send.stderr)
	eventually(t, "the receiver's log of it; the sender says: "+send.stderr(), func() bool {
		return strings.Contains(recv.stderr(), "camera connected: camera far,") && strings.Contains(recv.stderr(), "peer 203.0.113.5:")
	}, recv.stderr)
}

package discover

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pion/mdns/v2"
)

func event(name, addr string, port uint16, text ...string) mdns.ServiceEvent {
	e := mdns.ServiceEvent{Addr: netip.MustParseAddr(addr), Instance: mdns.ServiceInstance{Instance: name, Service: ServiceType, Host: name + ".local.", Port: port}}
	for _, t := range text {
		k, v, _ := strings.Cut(t, "=")
		e.Instance.Text = append(e.Instance.Text, mdns.NewTXTString(k, v))
	}
	return e
}

func TestWhatTheNetworkTells(t *testing.T) {
	f := finder{news: make(chan struct{}, 1)}
	f.found(event("studio", "fe80::1%eth0", 1308, "Version=1.2", "token=true", "page=http:8080"))
	f.found(event("studio", "10.0.0.2", 1308, "version=1.2", "token=true", "page=http:8080", "cameras=door,roof"))
	f.found(event("studio", "10.0.0.2", 1308, "version=1.2", "token=true", "page=http:8080", "cameras=door,roof"))
	f.found(event("evil\x1b[2J\xff", "10.0.0.3", 1308, "version=\x07\n"+strings.Repeat("x", 500), "page=javascript:alert(1)", "page=http:99999", "cameras="+strings.Repeat("a,", 300)))
	f.found(event("mine", "127.0.0.1", 1308))
	f.found(event("portless", "10.0.0.4", 0))
	other := event("printer", "10.0.0.5", 631)
	other.Instance.Service = "_ipp._tcp"
	f.found(other)
	got := f.list()
	if len(got) != 2 {
		t.Fatalf("found %v", got)
	}
	evil, studio := got[0], got[1]
	if want := "studio at 10.0.0.2:1308 (asks for a token)"; studio.String() != want || fmt.Sprint(studio.Addrs) != "[10.0.0.2 fe80::1%eth0]" || studio.Page != "http://10.0.0.2:8080/" || fmt.Sprint(studio.Cameras) != "[door roof]" || studio.Version != "1.2" {
		t.Errorf("%+v", studio)
	}
	if s := fmt.Sprintf("%+v", evil); !utf8.ValidString(s) || strings.ContainsAny(s, "\x1b\x07\n") || evil.Page != "" || len(s) > 800 {
		t.Errorf("%q", s)
	}
	f.found(event("studio", "10.0.0.9", 1400)) // moved
	if s := f.list()[1]; fmt.Sprint(s.Addrs) != "[10.0.0.9]" {
		t.Errorf("%+v", s)
	}
	for i := range 2 * mostFound {
		f.found(event(fmt.Sprint("n", i), "10.0.0.3", 1308))
	}
	if n := len(f.list()); n > mostFound {
		t.Errorf("it remembers %d", n)
	}
}

// An entry of a TXT record has at most 255 bytes, a name 63, and loopback is not announced.
func TestAnnouncement(t *testing.T) {
	var cameras []string
	for i := range 100 {
		cameras = append(cameras, fmt.Sprint("camera", i))
	}
	a := Announcement{Name: strings.Repeat("n", 50), Version: "1", Listen: netip.MustParseAddrPort("[::]:1308")}
	for _, e := range a.text(cameras) {
		if len(e.Key)+1+len(e.Value) > 255 {
			t.Errorf("%s has %d bytes", e.Key, len(e.Value))
		}
	}
	if len(a.pointer(lifetime)) == 0 || !a.Possible() {
		t.Error("it cannot be announced")
	}
	for _, listen := range []string{"127.0.0.1:1308", "[::1]:1308"} {
		if a.Listen = netip.MustParseAddrPort(listen); a.Possible() {
			t.Errorf("%s would be announced", listen)
		}
	}
}

// The dialer takes the address that works and begins with it the next time.
func TestDialerTriesAllAddresses(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("needs 127.0.0.2: ", err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	d := NewDialer(Receiver{Name: "x", Port: port, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.2")}}, time.Minute)
	c, err := d.DialContext(context.Background(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if fmt.Sprint(d.to.Addrs) != "[127.0.0.2 127.0.0.1 127.0.0.3]" {
		t.Errorf("next time it begins with %v", d.to.Addrs)
	}
	ln.Close()
	if c, err := d.DialContext(context.Background(), "tcp", ""); err == nil || !strings.Contains(err.Error(), "receiver x") {
		t.Errorf("%v, %v", c, err)
	}
	if !d.failed {
		t.Error("it would not search")
	}
}

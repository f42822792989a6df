package discover

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pion/mdns/v2"
	"golang.org/x/net/dns/dnsmessage"
)

// Announcement is what a receiver tells of itself. Its token is none of it.
type Announcement struct {
	Name    string         // without dots, at most 63 bytes
	Listen  netip.AddrPort // an unspecified address is all of them
	Version string
	Token   bool            // it lets in only who knows one
	Page    string          // scheme:port of the page, as http:8080; "" = not for other machines
	Cameras func() []string // that are connected now; nil = nobody's business
	Log     *slog.Logger

	host string // see uniqueHost
}

// Possible reports whether there is something to announce: loopback is nobody
// else's.
func (a *Announcement) Possible() bool { return a.Name != "" && !a.Listen.Addr().IsLoopback() }

// Run announces until ctx ends, and says goodbye then. While no network is there
// it waits for one; when interfaces or addresses change it begins anew.
func (a *Announcement) Run(ctx context.Context) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for said := ""; ctx.Err() == nil; {
		if err := a.run(ctx, t); err != nil && err.Error() != said {
			said = err.Error() // once: it may stay so for days
			a.Log.Warn("cameras cannot find this receiver by itself", "cause", err)
		}
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
}

// use says which interfaces cameras can reach us on.
func (a *Announcement) use(i net.Interface) bool {
	return !a.Listen.Addr().IsValid() || a.Listen.Addr().IsUnspecified() || has(i, a.Listen.Addr())
}

// uniqueHost is the name that our addresses have. It is not the machine's own: two
// machines may be called raspberrypi, and what one says of a name would go for both
// (RFC 6762, section 9, has everybody look first whether a name is free, which the
// library does not).
func uniqueHost() string {
	host, _ := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	return fmt.Sprintf("%.40s-%08x", cmp.Or(host, "framepipe"), rand.Uint32())
}

// run announces as long as the network stays as it is.
func (a *Announcement) run(ctx context.Context, t *time.Ticker) error {
	network := fingerprint(a.use)
	if a.host == "" {
		a.host = uniqueHost()
	}
	cameras := a.cameras()
	svc := mdns.ServiceInstance{Instance: a.Name, Service: ServiceType, Domain: "local", Host: a.host + ".local.", Port: a.Listen.Port(), Text: a.text(cameras)}
	c, err := open(a.use, mdns.WithLocalNames(a.host+".local"), mdns.WithService(svc))
	if err != nil {
		return err
	}
	defer c.Close()
	defer c.multicast(a.pointer(0))  // goodbye, which the library does not say
	c.multicast(a.pointer(lifetime)) // for those who asked before we were there
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if fingerprint(a.use) != network {
			return nil
		}
		if now := a.cameras(); !slices.Equal(now, cameras) {
			cameras = now
			if err := c.UpdateTXT(a.Name, ServiceType, a.text(cameras)); err != nil {
				return fmt.Errorf("multicast DNS: %w", err)
			}
		}
	}
}

// lifetime is how long others may believe that we are here, in seconds.
const lifetime = 120

// pointer is the message that says that a is there; 0 takes it back (RFC 6762,
// 10.1). Nil if the name fits into none.
func (a *Announcement) pointer(ttl uint32) []byte {
	service, err := dnsmessage.NewName(ServiceType + ".local.")
	if err != nil {
		return nil
	}
	instance, err := dnsmessage.NewName(a.Name + "." + ServiceType + ".local.")
	if err != nil {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}, Answers: []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: service, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.PTRResource{PTR: instance}}}}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

func (a *Announcement) cameras() []string {
	if a.Cameras == nil {
		return nil
	}
	return a.Cameras()
}

// text is the TXT record. An entry has at most 255 bytes.
func (a *Announcement) text(cameras []string) []mdns.TXTEntry {
	t := []mdns.TXTEntry{mdns.NewTXTString("txtvers", "1"), mdns.NewTXTString("version", a.Version), mdns.NewTXTString("token", strconv.FormatBool(a.Token))}
	if a.Page != "" {
		t = append(t, mdns.NewTXTString("page", a.Page))
	}
	for len(strings.Join(cameras, ",")) > 240 {
		cameras = cameras[:len(cameras)-1]
	}
	if len(cameras) > 0 {
		t = append(t, mdns.NewTXTString("cameras", strings.Join(cameras, ",")))
	}
	return t
}

// fingerprint changes when the usable interfaces or their addresses do.
func fingerprint(use func(net.Interface) bool) string {
	ifaces, _ := usable(use)
	var b strings.Builder
	for _, i := range ifaces {
		addrs, _ := i.Addrs()
		fmt.Fprintln(&b, i.Index, addrs)
	}
	return b.String()
}

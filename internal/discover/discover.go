// Package discover lets cameras find receivers on the local network: DNS-SD (RFC
// 6763) over multicast DNS (RFC 6762), service _framepipe._tcp. Announce makes a
// receiver known, Find looks for them, and a Dialer connects to one by its name,
// wherever it is now.
//
// What comes from the network is a hint and no proof: anybody there can announce
// anything. Who must be sure whom it sends to uses a token. Texts are cleaned of
// control characters; nothing of them gets into paths.
//
// Nothing here runs unless it is called, and all that a call starts has ended when
// it returns, but for the library's own loops, which end with its connection.
package discover

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ServiceType is what receivers are in DNS-SD.
const ServiceType = "_framepipe._tcp"

// Receiver is one that was found.
type Receiver struct {
	Name    string       `json:"name"`
	Host    string       `json:"host"`
	Addrs   []netip.Addr `json:"addresses"` // IPv4 first, link-local last
	Port    int          `json:"port"`
	Version string       `json:"version,omitempty"`
	Token   bool         `json:"token"`             // it lets in only who knows one
	Page    string       `json:"page,omitempty"`    // address of its page, if other machines see it
	Cameras []string     `json:"cameras,omitempty"` // connected there; not told by a receiver with a token
}

// Address is host:port of the first address, or of the i-th.
func (r *Receiver) address(i int) string {
	return net.JoinHostPort(r.Addrs[i].String(), strconv.Itoa(r.Port))
}

// String names a receiver for people.
func (r *Receiver) String() string {
	text := r.Name
	if len(r.Addrs) > 0 {
		text += " at " + r.address(0)
	}
	if r.Token {
		text += " (asks for a token)"
	}
	return text
}

// errNoNetwork says that there is nothing to search on.
var errNoNetwork = errors.New("no network interface takes multicast")

// network is multicast DNS on some interfaces.
type network struct {
	*mdns.Conn
	p4     *ipv4.PacketConn // nil where there is no IPv4
	p6     *ipv6.PacketConn // nil where there is no IPv6
	ifaces []net.Interface
}

// multicast sends a message to everybody.
func (n *network) multicast(b []byte) {
	for i := range n.ifaces {
		if n.p4 != nil { // an interface without addresses of the family says so, which is fine
			n.p4.WriteTo(b, &ipv4.ControlMessage{IfIndex: n.ifaces[i].Index}, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
		}
		if n.p6 != nil {
			n.p6.WriteTo(b, &ipv6.ControlMessage{IfIndex: n.ifaces[i].Index}, &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: 5353})
		}
	}
}

// open joins the multicast groups on the interfaces that use allows; nil is all.
func open(use func(net.Interface) bool, opts ...mdns.ServerOption) (*network, error) {
	ifaces, err := usable(use)
	if err != nil {
		return nil, err
	}
	if len(ifaces) == 0 {
		return nil, errNoNetwork
	}
	var p4 *ipv4.PacketConn
	var p6 *ipv6.PacketConn
	c4, err4 := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(224, 0, 0, 0), Port: 5353})
	if err4 == nil {
		p4 = ipv4.NewPacketConn(c4)
	}
	c6, err6 := net.ListenUDP("udp6", &net.UDPAddr{IP: net.ParseIP("ff02::"), Port: 5353})
	if err6 == nil {
		p6 = ipv6.NewPacketConn(c6)
	}
	if p4 == nil && p6 == nil {
		return nil, fmt.Errorf("multicast DNS: %w", errors.Join(err4, err6))
	}
	opts = append(opts, mdns.WithInterfaces(ifaces...), mdns.WithLoggerFactory(silent))
	c, err := mdns.NewServer(p4, p6, opts...)
	if err != nil {
		if c4 != nil {
			c4.Close()
		}
		if c6 != nil {
			c6.Close()
		}
		return nil, fmt.Errorf("multicast DNS: %w", err)
	}
	return &network{c, p4, p6, ifaces}, nil
}

// The library warns of every packet that an interface did not take.
var silent = func() *logging.DefaultLoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.Writer, f.DefaultLogLevel = io.Discard, logging.LogLevelDisabled
	return f
}()

// usable lists the interfaces that are up, take multicast and have an address.
func usable(use func(net.Interface) bool) ([]net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("network interfaces: %w", err)
	}
	return slices.DeleteFunc(all, func(i net.Interface) bool {
		if i.Flags&(net.FlagUp|net.FlagMulticast|net.FlagLoopback) != net.FlagUp|net.FlagMulticast {
			return true
		}
		addrs, err := i.Addrs()
		return err != nil || len(addrs) == 0 || use != nil && !use(i)
	}), nil
}

// has reports whether an interface has an address.
func has(i net.Interface, a netip.Addr) bool {
	addrs, _ := i.Addrs()
	return slices.ContainsFunc(addrs, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && p.Addr().Unmap() == a.Unmap().WithZone("")
	})
}

// clean makes a text of the network fit for terminals and logs.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return s[:min(len(s), 100)]
}

// order puts addresses that more machines can reach first.
func order(a, b netip.Addr) int {
	rank := func(a netip.Addr) int {
		switch {
		case a.Is4() && !a.IsLinkLocalUnicast():
			return 0
		case !a.IsLinkLocalUnicast():
			return 1
		case a.Is4():
			return 2
		}
		return 3
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Compare(b))
}

// interval is how often the interfaces and what is announced are looked at.
const interval = 2 * time.Second

package netem

import "net/netip"

// Side is one end of a link.
type Side int

const (
	A Side = iota
	B
)

func (s Side) String() string {
	if s == A {
		return "A"
	}
	return "B"
}

func (s Side) other() Side { return 1 - s }

// End tells where a side is.
type End struct {
	Namespace string     // as `ip netns` knows it
	Addr      netip.Addr // the side's address on the link
	Device    string     // of the link, in the namespace
}

// The addresses are the same for every link: its namespaces are its own.
var addrs = [2]netip.Addr{netip.AddrFrom4([4]byte{10, 77, 0, 1}), netip.AddrFrom4([4]byte{10, 77, 0, 2})}

// The size of the largest packet, and of the device's own queue: Linux hands
// over a segment of up to 64 kB as 45 packets at once, and the 500 that a TUN
// device holds by default would drop some of several.
const (
	mtu        = 1500
	txQueueLen = 4000
)

package secure

import "net/netip"

// Local reports whether an address can be that of a machine nearby only, since the
// internet does not carry it: loopback, link-local (RFC 3927, RFC 4291), private (RFC
// 1918), unique local (RFC 4193). That it is one's own network does not follow.
func Local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

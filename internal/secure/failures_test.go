package secure

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Five guesses, then one each two seconds; an address pays for its own alone, where a
// machine has a whole /64 of IPv6 for the /64; and who has very many addresses does not
// make us remember them all.
func TestGuessesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Failures
		guess := func(a string) bool {
			addr := netip.MustParseAddr(a)
			if err := f.Allow(addr); err != nil {
				if later, ok := errors.AsType[*ErrLater](err); !ok || later.Wait < time.Second || later.Wait > time.Minute {
					t.Errorf("%v", err)
				}
				return false
			}
			f.Failed(addr)
			return true
		}
		tries := func(n int, a ...string) (allowed int) {
			for i := range n {
				if guess(a[i%len(a)]) {
					allowed++
				}
			}
			return allowed
		}
		if n := tries(50, "192.0.2.1"); n != 5 {
			t.Errorf("%d guesses at once", n)
		}
		if n := tries(50, "::ffff:192.0.2.1"); n != 0 {
			t.Errorf("%d more, of the same address written otherwise", n)
		}
		if n := tries(5, "192.0.2.2"); n != 5 {
			t.Errorf("another address has %d guesses", n)
		}
		if n := tries(50, "2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"); n != 5 {
			t.Errorf("one /64 has %d guesses", n)
		}
		allowed := 0
		for range 100 { // of ten seconds each
			time.Sleep(10 * time.Second)
			allowed += tries(20, "192.0.2.1")
		}
		if allowed < 400 || allowed > 510 { // 1000 s
			t.Errorf("%d guesses in 1000 s", allowed)
		}
		for i := range uint32(5_000) {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], 0x0a000000+i)
			f.Failed(netip.AddrFrom4(b))
		}
		if len(f.of) > mostKnown {
			t.Errorf("%d addresses are remembered", len(f.of))
		}
		if f.Total() < 5_000 {
			t.Errorf("%d counted", f.Total())
		}
	})
}

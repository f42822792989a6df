package secure

import (
	"net"
	"strings"
	"testing"
)

// What is taken for a connect string means the same when it is written again, and
// no error repeats the token.
func FuzzConnect(f *testing.F) {
	for _, s := range []string{"framepipe://af0WiIxxxxxxxxxx@192.168.1.5:1308/", "framepipe://tokentokentoken@[fe80::1%25eth0]:1308", "framepipe://host", "FRAMEPIPE://u:p@h/x", "framepipe://%41%42%43%44%45%46%47%48@h"} {
		f.Add(s)
	}
	pin := Pin{1, 2, 3}
	f.Add(Connect{Address: "192.168.1.5:1308", Token: "secret-secret-secret", Pin: &pin}.String())
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseConnect(s, 1308)
		if err != nil {
			if strings.Contains(err.Error(), "secret-secret") {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if c.Token != "" && checkToken(c.Token) != nil {
			t.Errorf("token %q", c.Token)
		}
		if _, _, err := net.SplitHostPort(c.Address); err != nil {
			return // dialling will say so
		}
		again, err := ParseConnect(c.String(), 1308)
		if err != nil || again.Address != c.Address || again.Token != c.Token || (again.Pin == nil) != (c.Pin == nil) || c.Pin != nil && *c.Pin != *again.Pin {
			t.Errorf("%q is %+v, and written %q is %+v: %v", s, c, c.String(), again, err)
		}
	})
}

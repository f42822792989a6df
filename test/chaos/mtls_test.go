//go:build linux

package main

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"framepipe/test/certs"
	"framepipe/wire"
)

// Mutual TLS, end to end: only who has a certificate of our authority sends, and
// only to a receiver that has one.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, others := certs.New(t, t.TempDir()), certs.New(t, t.TempDir())
	ours.Server("receiver")
	ours.Client("camera")
	ours.Expired("expired")
	others.Client("stranger")
	with := func(ca, client *certs.Authority, name string) []string {
		return []string{"--tls-ca", ca.File("ca.pem"), "--tls-cert", client.File(name + ".pem"), "--tls-key", client.File(name + ".key")}
	}
	recv := launch(t, nil, "", "receive", "--listen", "127.0.0.1:0", "--http", "", "--announce", "", "--tls-cert", ours.File("receiver.pem"), "--tls-key", ours.File("receiver.key"), "--tls-client-ca", ours.File("ca.pem"))
	listens := regexp.MustCompile(`waiting for cameras on (\S+)`)
	eventually(t, "its address", func() bool { return listens.MatchString(recv.stderr()) }, recv.stderr)
	addr := listens.FindStringSubmatch(recv.stderr())[1]
	connected := func(name string) bool { return strings.Contains(recv.stderr(), "camera connected: camera "+name+",") }

	for name, tc := range map[string]struct {
		args []string
		ok   bool
	}{
		"good":                {with(ours, ours, "camera"), true},
		"no-certificate":      {[]string{"--tls-ca", ours.File("ca.pem")}, false},
		"foreign-certificate": {with(ours, others, "stranger"), false},
		"expired-certificate": {with(ours, ours, "expired"), false},
		"foreign-receiver":    {with(others, ours, "camera"), false},
		"in-the-clear":        {nil, false},
		"v0":                  {[]string{"--wire", "v0"}, false},
		"a-token-only":        {[]string{"--tls-ca", ours.File("ca.pem"), "--token", "a-long-enough-token"}, false},
	} {
		send := launch(t, nil, "", append(append([]string{"send", "--source", "pattern", "--name", name, "--warmup", "0s", "--for", "1500ms"}, tc.args...), addr)...)
		<-send.done
		if tc.ok { // what the sender is told may be here before the receiver's log is
			eventually(t, name+" connected", func() bool { return connected(name) }, recv.stderr)
		}
		if sent := strings.Contains(send.stderr(), " 0 frames: 0 sent") || !strings.Contains(send.stderr(), "confirmed by the receiver"); sent == tc.ok || connected(name) != tc.ok {
			t.Errorf("%s: connected %v, want %v\nsend: %s\nreceive: %s", name, connected(name), tc.ok, send.stderr(), recv.stderr())
		}
	}
	// v0 by hand, whose sender knows nothing of being refused.
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(append(wire.AppendV0(nil, 4), 0xff, 0xd8, 0xff, 0xd9))
	eventually(t, "v0 sent away", func() bool { return strings.Contains(recv.stderr(), "v0 cannot carry the token") }, recv.stderr)
	if n := strings.Count(recv.stderr(), "camera connected"); n != 1 {
		t.Errorf("%d cameras were let in:\n%s", n, recv.stderr())
	}
	if !strings.Contains(recv.stderr(), "TLS_") {
		t.Errorf("the cipher in use is not told:\n%s", recv.stderr())
	}
}

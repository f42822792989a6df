package stream

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"framepipe/internal/tcpq"
)

// A connection that changed its settings behaves as one that began with them: the
// congestion control that was chosen for one policy does not stay for another.
func TestSettingsAreTakenBack(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil {
		t.Skip(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	system := tcpq.Congestion(conn)
	other := slices.IndexFunc(strings.Fields(string(b)), func(s string) bool { return s != system })
	if other < 0 || system == "" {
		t.Skip("only one congestion control is allowed here: ", string(b))
	}
	name := strings.Fields(string(b))[other]
	s := NewSender(SenderConfig{Congestion: name})
	c := &senderConn{Conn: conn}
	s.conn.Store(c)
	s.tune(c)
	if got := tcpq.Congestion(conn); got != name || s.Congestion() != name {
		t.Errorf("%s was asked for, %s is in force, %s is said", name, got, s.Congestion())
	}
	s.SetCongestion("system")
	if got := tcpq.Congestion(conn); got != system || s.Congestion() != system {
		t.Errorf("after %s the system's %s was asked for, %s is in force, %s is said", name, system, got, s.Congestion())
	}
	s.SetCongestion("")
	s.SetPolicy(mustPolicy("block"))
	if got := tcpq.Congestion(conn); got != system {
		t.Errorf("policy block has %s, not the system's %s", got, system)
	}
}

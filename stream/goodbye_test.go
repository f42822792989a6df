package stream

import (
	"io"
	"net"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/wire"
)

// A receiver that asks for the time when the sender has said goodbye is not answered any
// more, and its own goodbye, which says how many frames arrived, is heard all the same.
func TestNothingFollowsAGoodbye(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		r := newReader(conn, new(frame.Pool), 20*time.Second)
		err = r.preamble()
		for gone := false; err == nil; {
			var m message
			if m, err = r.message(1 << 20); err != nil {
				break
			}
			if gone {
				t.Errorf("a message of type %v after the goodbye", m.Type)
			}
			if err = r.skip(m.Payload); err != nil {
				break
			}
			switch m.Type {
			case wire.TypeHello:
				text := mustJSON(wire.WelcomeText{Name: "cam"})
				w := wire.Welcome{Version: wire.Version, MaxFrame: 1 << 20, Session: 7}
				_, err = conn.Write(append(w.Append(wire.Preamble[:len(wire.Preamble):len(wire.Preamble)], len(text)), text...))
			case wire.TypeBye:
				gone = true
				ask := (&wire.Ping{ID: 1, T1: 5}).Append(nil)
				_, err = conn.Write(append(append((&wire.Ping{ID: 2, T1: 6}).Append(ask), (&wire.Bye{Reason: wire.ReasonEnd, Received: 7}).Append(nil, 7)...), "goodbye"...))
			}
		}
		ended <- err
	}()
	s := newTestSender(t, SenderConfig{Address: ln.Addr().String(), Session: 7})
	stop := runSender(t, s)
	eventually(t, "the connection", func() bool { return s.Stats().Connected })
	s.End()
	if err := <-ended; err != io.EOF {
		t.Errorf("the connection ends with %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := s.Stats().Received; n != 7 {
		t.Errorf("it believes that %d frames arrived, not 7", n)
	}
}

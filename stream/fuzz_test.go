package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/wire"
)

// script is a connection whose other side says something and hangs up, and never
// looks at what it is told.
type script struct{ in bytes.Reader }

func newScript(b []byte) *script {
	s := new(script)
	s.in.Reset(b)
	return s
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return len(b), nil }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// helloBytes is how a v1 sender begins, with the answers to the first pings.
func helloBytes(name string) []byte {
	text := mustJSON(wire.HelloText{Name: name, State: wire.StateText{Format: "jpeg", Width: 320, Height: 240}})
	b := append(append([]byte{}, wire.Preamble[:]...), (&wire.Hello{Version: 1, Session: 7}).Append(nil, len(text))...)
	b = append(b, text...)
	for i := range firstPings {
		p := wire.Pong{ID: uint64(i + 1), T1: 1, T2: 2, T3: 3}
		b = p.Append(b)
	}
	return b
}

// Whatever a peer says on the camera port, v0 or v1: nobody panics, what is
// allocated is bounded by what was sent, and the ledger balances.
func FuzzCameraPort(f *testing.F) {
	jpeg := testJPEG()
	v0 := func(bs ...[]byte) (out []byte) {
		for _, b := range bs {
			out = append(wire.AppendV0(out, uint32(len(b))), b...)
		}
		return wire.AppendV0(out, 0)
	}
	v1 := func(seqs ...uint64) []byte {
		b := helloBytes("cam")
		for i, s := range seqs {
			m := frame.Meta{Seq: s, Format: frame.JPEG, Counts: frame.Counts{Offered: s, Sent: uint64(i + 1)}}
			m.Captured = 5
			b = append(wire.AppendFrame(b, &m, len(jpeg)), jpeg...)
		}
		b = (&wire.Report{Counts: frame.Counts{Offered: 9, Sent: 3}}).Append(b)
		b = append(wire.AppendState(b, 3, 2), "{}"...)
		b = (&wire.Ping{ID: 1}).Append(b)
		return append((&wire.Bye{Counts: frame.Counts{Offered: 9, Sent: 3}}).Append(b, 3), "end"...)
	}
	for _, b := range [][]byte{v0(jpeg), v0(jpeg[:40], nil, make([]byte, 320*240*3/2)), v0(), v1(1), v1(1, 2, 5), v1(3, 2, 1), helloBytes("../x"), wire.Preamble[:], {0xff, 0xff, 0xff, 0xff}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReceiver(ReceiverConfig{MaxFrame: 1 << 20, MaxPixels: 1 << 20, MaxCameras: 2})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		c := newScript(b)
		fc := &feedConn{Conn: c, raw: c, recv: r, cfg: &r.cfg, log: r.cfg.Log, welcomed: make(chan struct{}), done: make(chan struct{})}
		fc.reader = newReader(c, &fc.pool, r.cfg.Timeout)
		_ = r.serve(ctx, fc, netip.MustParseAddr("127.0.0.1"))
		close(fc.done)
		fc.stopLateAck()
		for _, feed := range r.Feeds() {
			if l := feed.Meter.Ledger(); l.Imbalance() != 0 && honest(b) {
				t.Errorf("the ledger is out of balance by %d: %+v", l.Imbalance(), l)
			}
			if n := feed.Name(); n != SafeName(n) {
				t.Errorf("name %q", n)
			}
			feed.Status()
		}
		if n := fc.pool.Out(); n != 0 {
			t.Errorf("%d frames are not given back", n)
		}
	})
}

// honest reports whether the counters that a v1 sender claims can hold: what a liar
// says does not balance, and is shown as it is.
func honest(b []byte) bool { return len(b) < 4 || [4]byte(b[:4]) != wire.Preamble }

// Whatever a receiver answers: the sender neither panics nor believes sizes.
func FuzzReceiverSays(f *testing.F) {
	welcome := func() []byte {
		text := mustJSON(wire.WelcomeText{Name: "cam"})
		b := append([]byte{}, wire.Preamble[:]...)
		b = (&wire.Ping{ID: 1, T1: 5}).Append(b)
		w := wire.Welcome{Version: 1, MaxFrame: 1 << 20, Session: 7}
		return append(w.Append(b, len(text)), text...)
	}
	ack := (&wire.Ack{Seq: 1, Received: 1}).Append(welcome())
	control := append(wire.AppendControl(ack, 1, 14), `{"quality":60}`...)
	bye := append((&wire.Bye{Reason: wire.ReasonDone}).Append(control, 4), "done"...)
	for _, b := range [][]byte{welcome(), bye, welcome()[:20], {}, binary.BigEndian.AppendUint32(nil, 4)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewSender(SenderConfig{Session: 7, State: func() wire.StateText { return wire.StateText{} },
			Control: func(_ context.Context, set wire.Settings) wire.StateText { return wire.StateText{} }})
		c, err := s.introduce(context.Background(), newScript(b))
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.replies(ctx, c); err == nil || err == io.ErrNoProgress {
			t.Errorf("the end of what it says is %v", err)
		}
	})
}

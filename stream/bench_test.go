package stream

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/wire"
)

// BenchmarkPath is one frame from the mailbox over loopback to a viewer of the
// hub, unpaced: sender and receiver in one process, on two cores at best.
func BenchmarkPath(b *testing.B) {
	for _, v0 := range []bool{false, true} {
		for _, size := range []int{20_000, 68_000, 230_400} {
			b.Run(fmt.Sprintf("wire=%s/size=%d", map[bool]string{true: "v0", false: "v1"}[v0], size), func(b *testing.B) { benchPath(b, v0, size) })
		}
	}
}

func benchPath(b *testing.B, v0 bool, size int) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	recv := NewReceiver(ReceiverConfig{RecordLength: time.Hour})
	ended := make(chan struct{}, 2)
	go func() { recv.Run(ctx, ln); ended <- struct{}{} }()
	p, _ := ParsePolicy("block")
	s := NewSender(SenderConfig{Address: ln.Addr().String(), Name: "cam", Session: 1, V0: v0, Policy: p, Log: slog.New(slog.DiscardHandler),
		State: func() wire.StateText { return wire.StateText{} }})
	go func() { s.Run(ctx); ended <- struct{}{} }()
	defer func() { cancel(); <-ended; <-ended }()
	box := s.Mailbox()
	if err := box.WaitOnline(ctx); err != nil {
		b.Fatal(err)
	}
	data := padded(size)
	var counts frame.Counts
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		f := frame.New(data, nil)
		counts.Offered++
		f.Seq, f.Counts, f.Format = counts.Offered, counts, frame.JPEG
		f.Captured = frame.SenderNow()
		box.Put(f)
		if err := box.WaitIdle(ctx, false); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHub is the cost of handing one frame to n viewers that keep up.
func BenchmarkHub(b *testing.B) {
	for _, n := range []int{1, 20, 100} {
		b.Run(fmt.Sprintf("viewers=%d", n), func(b *testing.B) {
			var h Hub
			vs := make([]*Viewer, n)
			for i := range vs {
				vs[i] = h.Subscribe()
			}
			f := frame.New(make([]byte, 1000), nil)
			b.ReportAllocs()
			for b.Loop() {
				h.Publish(f)
				for _, v := range vs {
					v.TryNext().Release()
				}
			}
		})
	}
}

package rawio

import (
	"io"
	"net"
	"testing"
)

// A frame of usual size over loopback, read and written by one goroutine each: what the
// telling itself costs. What it costs besides, when the program sleeps between frames, is
// in docs/performance.md.
func BenchmarkConn(b *testing.B) {
	for _, bc := range []struct {
		name string
		wrap func(net.Conn) net.Conn
	}{
		{"raw", Wrap},
		{"net", func(c net.Conn) net.Conn { return c }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			near, far := tcpPair(b)
			out, in := bc.wrap(near), bc.wrap(far)
			frame, got := make([]byte, 68_000), make([]byte, 68_000)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					if _, err := out.Write(frame); err != nil {
						return // it is over
					}
				}
			}()
			for b.Loop() {
				if _, err := io.ReadFull(in, got); err != nil {
					b.Fatal(err)
				}
			}
			in.Close()
			<-done
			out.Close()
		})
	}
}

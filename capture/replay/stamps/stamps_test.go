package stamps

import (
	"testing"

	"framepipe/frame"
)

func TestRoundTrip(t *testing.T) {
	in := Stamps{Kind: frame.StampEnd, Source: frame.I420, Seq: 1 << 40, Wall: 1_790_000_000_123_456_789,
		SenderStamps:   frame.SenderStamps{Captured: 1, Dequeued: 2, Encoded: 3, SendStarted: 4},
		ReceiverStamps: frame.ReceiverStamps{FirstByte: 5, LastByte: 6, Delivered: 7}, Offset: -8, Error: -1}
	b := Append(nil, &in)
	if len(b) != Size {
		t.Fatalf("%d bytes, want %d", len(b), Size)
	}
	if out, ok := Parse(b); !ok || out != in {
		t.Errorf("%+v became %+v, %v", in, out, ok)
	}
	if _, ok := Parse(append(b, 1, 2, 3)); !ok {
		t.Error("a longer entry, as of a later version, is refused")
	}
	for n := range Size {
		if _, ok := Parse(b[:n]); ok {
			t.Errorf("cut to %d bytes it is accepted", n)
		}
	}
	b[0] = 0
	if _, ok := Parse(b); ok {
		t.Error("version 0 is accepted")
	}
}

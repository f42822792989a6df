package rawio

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// A socket takes what it has room for, from the middle of a part too, and then nothing;
// what the other side reads is that and no more. A closed one is an error.
func TestWriteTakesWhatFits(t *testing.T) {
	near, far := tcpPair(t)
	w := NewWriter(near)
	parts := [][]byte{[]byte("head"), nil, bytes.Repeat([]byte("0123456789"), 100_001)}
	whole := bytes.Join(parts, nil)
	var sent []byte
	for range 1000 {
		n, err := w.Write(parts)
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, whole[:n]...)
		if n == 0 {
			break
		}
	}
	if n, err := w.Write(parts); n != 0 || err != nil {
		t.Errorf("a full socket took %d, %v", n, err)
	}
	near.Close()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes arrived of %d, %v", len(got), len(sent), err)
	}
	if n, err := w.Write(parts); err == nil {
		t.Errorf("a closed socket took %d", n)
	}
}

func TestNotEverythingIsASocket(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if NewWriter(near) != nil {
		t.Error("a pipe in memory is written to as a socket")
	}
}

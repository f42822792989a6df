//go:build linux

package main

import (
	"framepipe/frame"
	"framepipe/wire"
)

// hello is how a v1 camera begins that does not wait for answers.
func hello() []byte {
	const text = `{"name":"bad"}`
	b := append([]byte{}, wire.Preamble[:]...)
	b = append((&wire.Hello{Version: wire.Version, Session: 77}).Append(b, len(text)), text...)
	for i := range 5 {
		b = (&wire.Pong{ID: uint64(i + 1), T1: 1, T2: 2, T3: 3}).Append(b)
	}
	return b
}

func v1Frame(seq uint64, picture []byte) []byte {
	m := frame.Meta{Seq: seq, Format: frame.JPEG, Counts: frame.Counts{Offered: seq, Sent: seq}}
	return append(wire.AppendFrame(nil, &m, len(picture)), picture...)
}

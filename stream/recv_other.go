//go:build !linux

package stream

import "net"

// sockReader reads a connection; see recv_linux.go for what it does there.
type sockReader struct{}

func newSockReader(net.Conn) *sockReader { return &sockReader{} }

func (*sockReader) read(conn net.Conn, a, _ []byte, _ int) (int, error) { return conn.Read(a) }

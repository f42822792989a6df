package wire

import "encoding/binary"

// V0HeaderSize is the size of a v0 length.
const V0HeaderSize = 4

// DefaultPort is the origin's.
const DefaultPort = 1308

// AppendV0 appends the v0 header of a frame of n bytes; n = 0 ends the stream.
func AppendV0(dst []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(dst, n) }

// ParseV0 reads a v0 header. b must hold V0HeaderSize bytes.
func ParseV0(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

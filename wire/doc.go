// Package wire is what framepipe speaks on the network: v0, the format of the
// experiment that it began as, and v1, which carries stamps, counters, clock
// exchange and control. It turns messages into bytes and back; it opens no
// socket, reads no clock and starts nothing. PROTOCOL.md is the specification
// that this package implements, and testdata/v1.json holds vectors that peers in
// other languages can check themselves against.
//
// Everything is little-endian.
//
// # v0
//
//	offset size
//	0      4    length of the frame in bytes; 0 = no more frames, both ends close
//	4      n    that many bytes
//
// # v1
//
// Each side begins with the four bytes of Preamble. Read as a v0 length they
// are larger than any frame may be, so both formats share one port. After them,
// in both directions, messages:
//
//	offset size
//	0      1    type
//	1      1    0 (readers ignore it)
//	2      2    H, length of the header
//	4      4    P, length of the payload
//	8      H    header: fixed fields by type; readers ignore bytes past those they know
//	8+H    P    payload
//
// A reader skips messages of a type it does not know, and takes a header that is
// shorter than the fields of its type for an error. Fields are only ever added
// at the end. That is how versions meet.
//
// Parse functions return values that alias their input only where they say so.
package wire

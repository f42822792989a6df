// Package frame holds the vocabulary that every other package shares: what a
// frame is, when things happened to it, and how frames that never arrived are
// accounted for. It imports nothing of ours and does no input or output.
//
// # Memory
//
// A [Frame] is reference-counted. Whoever is handed one owns one reference and
// must call [Frame.Release] exactly once; to keep it longer, or to hand it to
// somebody else as well, call [Frame.Retain] first. After the last Release the
// payload goes back to where it came from: a [Pool], or the kernel driver that
// owns the mapped buffer. Nobody may touch Data after that, and nobody may write
// to it while others hold references.
//
// # Time
//
// Stamps are nanoseconds of a machine's CLOCK_MONOTONIC, in one type per clock
// domain: [SenderTime] on the camera's machine, [ReceiverTime] on the viewer's.
// Subtracting one from the other does not compile; package clocksync relates
// them and says how sure it is. The zero value means unknown, never "at 0".
package frame

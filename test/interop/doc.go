// Package interop runs the sender and the receiver against programs that share no
// code with them: the Python peers in test/peers, which behave as the published
// scripts of the original experiment do, or as broken and hostile programs do.
//
// It looks at what arrived, byte by byte, and at what the other side says about
// it; how fast is measured elsewhere.
package interop

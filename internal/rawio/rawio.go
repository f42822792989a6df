// Package rawio does I/O on sockets and pipes whose system calls cannot block, without
// telling Go's scheduler about each of them.
//
// The telling (package syscall's calls, that package net uses) lets other goroutines run
// while a call blocks. Where none does, it costs little by itself, but it wakes the
// runtime's own monitor thread, which sleeps while the program is idle and then looks
// around every few ten microseconds as long as anything runs (runtime.sysmon). With a
// frame each 33 ms, it is asleep before each of them: the looking around took a fifth of
// the processor time of a receiver with 20 viewers.
//
// While the monitor sleeps, nobody takes the processor from a goroutine that computes for
// long; it wakes for the program's next timer at the latest.
//
// Waiting is as ever: in the runtime's poller, with deadlines, ended by closing. What
// takes no bytes without waiting, or is no Linux socket or pipe (TLS, a simulated link),
// is read and written by its own methods instead.
package rawio

// MaxParts is how many parts Writer.Write takes.
const MaxParts = 3

// LowatMost bounds SO_RCVLOWAT: the kernel makes the receive buffer twice as large as
// that, and a peer's announcement alone must not cost memory.
const LowatMost = 256 << 10

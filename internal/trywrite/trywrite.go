// Package trywrite writes to a socket without ever waiting for it, so that who has a
// frame can send it at once where there is room, and needs nobody who may wait. It does
// not tell Go's scheduler about the system call, which takes microseconds and cannot
// block: the telling, and moving other goroutines to other threads meanwhile, would
// cost as much again as it does. What to do about what did not fit is the caller's.
package trywrite

// MaxParts is how many parts Write takes.
const MaxParts = 3

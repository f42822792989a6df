//go:build unix

package main

import (
	"runtime/debug"
	"syscall"
)

// A Go program that panics, or that a service manager's watchdog aborts, ends with
// status 2: what says here that the request was wrong, and that starting it again is
// no use. With "crash" it dies of SIGABRT instead, and is started again. No core is
// left, since frames and the token would be in it.
func init() {
	debug.SetTraceback("crash")
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

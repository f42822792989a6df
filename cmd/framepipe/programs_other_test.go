//go:build !linux

package main

// programs are what scripts can run.
func programs() map[string]func() { return map[string]func(){"framepipe": main} }

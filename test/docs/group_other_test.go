//go:build !unix

package docs

import "os/exec"

func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may have ended

func interruptGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // there is no Ctrl-C to send

//go:build !unix

package clients

import "os/exec"

func ownGroup(*exec.Cmd) {}

func endGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() } // it may be over

func killGroup(cmd *exec.Cmd) { endGroup(cmd) }

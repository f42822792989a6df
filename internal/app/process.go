package app

import (
	"framepipe/frame"
	"framepipe/internal/doctor"
)

// ownProcess is what this process holds.
func ownProcess() *doctor.Process {
	p := doctor.ReadProcess()
	p.Frames = frame.OutAll()
	return p
}

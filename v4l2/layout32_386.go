//go:build linux && 386

package v4l2

type rawInput struct {
	Index                 uint32
	Name                  [32]byte
	Type, AudioSet, Tuner uint32
	Std                   [2]uint32
	Status, Capabilities  uint32
	Reserved              [3]uint32
}

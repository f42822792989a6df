//go:build linux && arm

package v4l2

// rawInput ends in padding: the ARM EABI aligns 64-bit fields to 8 bytes, which
// Go on this system does not.
type rawInput struct {
	Index                 uint32
	Name                  [32]byte
	Type, AudioSet, Tuner uint32
	Std                   [2]uint32
	Status, Capabilities  uint32
	Reserved              [3]uint32
	_                     uint32
}

//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package v4l2

type rawFormat struct {
	Type uint32
	_    uint32 // the union holds pointers (struct v4l2_window)
	Raw  [200]byte
}

type rawBuffer struct {
	Index, Type, BytesUsed, Flags, Field uint32
	_                                    uint32
	Sec, Usec                            int64
	Timecode                             [16]byte
	Sequence, Memory                     uint32
	M                                    uintptr // offset, or pointer to planes
	Length, Reserved2                    uint32
	RequestFD                            int32
	_                                    uint32
}

type rawPlane struct {
	BytesUsed, Length uint32
	M                 uintptr
	DataOffset        uint32
	Reserved          [11]uint32
}

type rawInput struct {
	Index                 uint32
	Name                  [32]byte
	Type, AudioSet, Tuner uint32
	Std                   uint64
	Status, Capabilities  uint32
	Reserved              [3]uint32
	_                     uint32
}

//go:build linux && (arm || 386)

package v4l2

type rawFormat struct {
	Type uint32
	Raw  [200]byte
}

type rawBuffer struct {
	Index, Type, BytesUsed, Flags, Field uint32
	Sec, Usec                            int32 // struct old_timeval32
	Timecode                             [16]byte
	Sequence, Memory                     uint32
	M                                    uintptr // offset, or pointer to planes
	Length, Reserved2                    uint32
	RequestFD                            int32
}

type rawPlane struct {
	BytesUsed, Length uint32
	M                 uintptr
	DataOffset        uint32
	Reserved          [11]uint32
}

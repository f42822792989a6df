package v4l2

import "strings"

// Control types (enum v4l2_ctrl_type).
const (
	CtrlInteger     = 1
	CtrlBoolean     = 2
	CtrlMenu        = 3
	CtrlButton      = 4
	CtrlInteger64   = 5
	CtrlClass       = 6
	CtrlString      = 7
	CtrlBitmask     = 8
	CtrlIntegerMenu = 9
)

// Control flags.
const (
	CtrlFlagDisabled  = 0x0001
	CtrlFlagGrabbed   = 0x0002
	CtrlFlagReadOnly  = 0x0004
	CtrlFlagInactive  = 0x0010
	CtrlFlagWriteOnly = 0x0040
	CtrlFlagVolatile  = 0x0080
)

// Control describes one control (struct v4l2_query_ext_ctrl).
type Control struct {
	ID                uint32
	Type              uint32
	Name              string // the driver's wording: "Exposure Time, Absolute"
	Key               string // as v4l2-ctl prints it: "exposure_time_absolute"
	Min, Max, Default int64
	Step              uint64
	Flags             uint32
	Menu              []MenuItem // of menu and integer menu controls
}

// MenuItem is one choice of a menu control.
type MenuItem struct {
	Index int64
	Name  string // for an integer menu, the number in decimal
}

// ControlKey turns a control's name into what v4l2-ctl calls it: letters and
// digits in lower case, anything between them one underscore.
func ControlKey(name string) string {
	var b strings.Builder
	gap := false
	for _, c := range []byte(name) {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteByte(c)
	}
	return b.String()
}

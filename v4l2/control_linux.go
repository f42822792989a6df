//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Controls walks the device's controls, menus included, without their values.
func (d *Device) Controls() ([]Control, error) {
	var out []Control
	id := uint32(0)
	for range maxControls {
		r := rawQueryExtCtrl{ID: id | ctrlNextCtrl}
		if err := ioctl(d.fd, vidiocQueryExtCtrl, unsafe.Pointer(&r)); err != nil {
			if ended(err) {
				break
			}
			return out, d.wrap("VIDIOC_QUERY_EXT_CTRL", err)
		}
		if r.ID <= id && id != 0 {
			break // a driver that does not advance would never end
		}
		id = r.ID
		if r.Type == CtrlClass || r.Flags&CtrlFlagDisabled != 0 {
			continue
		}
		c := Control{ID: r.ID, Type: r.Type, Name: cstr(r.Name[:]), Min: r.Min, Max: r.Max, Default: r.Default, Step: r.Step, Flags: r.Flags}
		c.Key = ControlKey(c.Name)
		if c.Type == CtrlMenu || c.Type == CtrlIntegerMenu {
			c.Menu = d.menu(c)
		}
		out = append(out, c)
	}
	return out, nil
}

func (d *Device) menu(c Control) []MenuItem {
	var out []MenuItem
	for i := max(c.Min, 0); i <= c.Max && i < maxMenu; i++ {
		m := rawQueryMenu{ID: c.ID, Index: uint32(i)}
		if ioctl(d.fd, vidiocQueryMenu, unsafe.Pointer(&m)) != nil {
			continue // menus may have holes
		}
		name := cstr(m.Name[:])
		if c.Type == CtrlIntegerMenu {
			var v int64
			for k := 7; k >= 0; k-- {
				v = v<<8 | int64(m.Name[k])
			}
			name = fmt.Sprint(v)
		}
		out = append(out, MenuItem{Index: i, Name: name})
	}
	return out
}

// Control reads a control's value.
func (d *Device) Control(id uint32) (int64, error) {
	v, err := d.extControl(vidiocGExtCtrls, id, 0)
	if err == nil {
		return v, nil
	}
	c := rawControl{ID: id} // drivers without the extended calls
	if ioctl(d.fd, vidiocGCtrl, unsafe.Pointer(&c)) == nil {
		return int64(c.Value), nil
	}
	return 0, d.wrap(fmt.Sprintf("VIDIOC_G_EXT_CTRLS 0x%x", id), err)
}

// SetControl sets a control. The driver may clamp the value: read it back.
func (d *Device) SetControl(id uint32, v int64) error {
	_, err := d.extControl(vidiocSExtCtrls, id, v)
	if err != nil && (errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL)) && int64(int32(v)) == v {
		c := rawControl{ID: id, Value: int32(v)}
		if ioctl(d.fd, vidiocSCtrl, unsafe.Pointer(&c)) == nil {
			return nil
		}
	}
	return d.wrap(fmt.Sprintf("VIDIOC_S_EXT_CTRLS 0x%x=%d", id, v), err)
}

func (d *Device) extControl(req uintptr, id uint32, v int64) (int64, error) {
	c := &rawExtControl{ID: id, Value: [2]uint32{uint32(v), uint32(v >> 32)}}
	cs := &rawExtControls{Count: 1, Controls: unsafe.Pointer(c)}
	err := ioctl(d.fd, req, unsafe.Pointer(cs))
	runtime.KeepAlive(cs)
	return int64(c.Value[0]) | int64(c.Value[1])<<32, err
}

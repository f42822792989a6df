//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/v4l2"
)

var ctrlTypes = map[uint32]string{
	v4l2.CtrlInteger: "int", v4l2.CtrlInteger64: "int", v4l2.CtrlBitmask: "int",
	v4l2.CtrlBoolean: "bool", v4l2.CtrlMenu: "menu", v4l2.CtrlIntegerMenu: "menu", v4l2.CtrlButton: "button",
}

// readControls lists those controls that have one number as value.
func readControls(dev *v4l2.Device, ctrls []v4l2.Control) []capture.Control {
	var out []capture.Control
	for _, c := range ctrls {
		typ, ok := ctrlTypes[c.Type]
		if !ok {
			continue
		}
		cc := capture.Control{Name: c.Key, Label: c.Name, Type: typ, Min: c.Min, Max: c.Max, Step: int64(c.Step), Default: c.Default}
		if c.Flags&v4l2.CtrlFlagWriteOnly == 0 && typ != "button" {
			v, err := dev.Control(c.ID)
			if err != nil {
				cc.Flags = append(cc.Flags, "unreadable") // unknown is not zero
			}
			cc.Value = v
		}
		for _, f := range []struct {
			bit  uint32
			name string
		}{{v4l2.CtrlFlagReadOnly, "read-only"}, {v4l2.CtrlFlagInactive, "inactive"}, {v4l2.CtrlFlagVolatile, "volatile"}, {v4l2.CtrlFlagGrabbed, "grabbed"}, {v4l2.CtrlFlagWriteOnly, "write-only"}} {
			if c.Flags&f.bit != 0 {
				cc.Flags = append(cc.Flags, f.name)
			}
		}
		for _, m := range c.Menu {
			cc.Menu = append(cc.Menu, capture.MenuItem{Value: m.Index, Label: m.Name})
		}
		out = append(out, cc)
	}
	return out
}

// Controls implements capture.Camera. The walk is made anew: setting one control
// changes others' flags (exposure_time_absolute is inactive while exposure is
// automatic).
func (c *Camera) Controls() ([]capture.Control, error) {
	ctrls, err := c.dev.Controls()
	if err != nil {
		return nil, explain("list the controls of "+c.path, c.path, err)
	}
	c.controls = ctrls
	return readControls(c.dev, ctrls), nil
}

// SetControl implements capture.Camera.
func (c *Camera) SetControl(name string, value int64) (int64, error) {
	op := fmt.Sprintf("set %s=%d on %s", name, value, c.path)
	i := slices.IndexFunc(c.controls, func(k v4l2.Control) bool { return k.Key == name })
	if i < 0 {
		var names []string
		for _, k := range c.controls {
			if ctrlTypes[k.Type] != "" {
				names = append(names, k.Key)
			}
		}
		return 0, &capture.Error{Op: op, Err: errors.New("the camera has no such control"), Config: true, Hint: "it has: " + strings.Join(names, ", ")}
	}
	k := c.controls[i]
	if ctrlTypes[k.Type] == "" {
		return 0, &capture.Error{Op: op, Err: errors.New("this control's value is not a number"), Config: true}
	}
	if k.Flags&v4l2.CtrlFlagReadOnly != 0 {
		return 0, &capture.Error{Op: op, Err: errors.New("this control is read-only"), Config: true}
	}
	if k.Type != v4l2.CtrlButton && k.Type != v4l2.CtrlBitmask && (value < k.Min || value > k.Max) {
		return 0, &capture.Error{Op: op, Err: fmt.Errorf("the value must be from %d to %d", k.Min, k.Max), Config: true}
	}
	if err := c.dev.SetControl(k.ID, value); err != nil {
		e := explain(op, c.path, err)
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EPIPE) {
			var ce *capture.Error
			if errors.As(e, &ce) {
				ce.Hint = "the control may be inactive while another one is on automatic; see `framepipe devices` for its flags"
			}
		}
		return 0, e
	}
	if k.Type == v4l2.CtrlButton || k.Flags&v4l2.CtrlFlagWriteOnly != 0 {
		return value, nil
	}
	v, err := c.dev.Control(k.ID)
	if err != nil {
		return 0, explain("read back "+name+" of "+c.path, c.path, err)
	}
	return v, nil
}

// applyControls sets what was asked for at opening, automatic modes first: they
// decide whether the others may be set.
func (c *Camera) applyControls(want map[string]int64) error {
	names := slices.SortedFunc(maps.Keys(want), func(a, b string) int {
		if x, y := strings.Contains(a, "auto"), strings.Contains(b, "auto"); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, n := range names {
		if _, err := c.SetControl(n, want[n]); err != nil {
			return err
		}
	}
	return nil
}

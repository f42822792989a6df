//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2src

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"framepipe/capture"
	"framepipe/v4l2"
)

// First is the path of the first device that offers a usable format. ISPs and
// other parts of a platform's image pipeline have capture nodes too, but no camera.
func First() (string, error) {
	devs, err := List()
	if err != nil {
		return "", err
	}
	var seen []string
	for _, d := range devs {
		if d.Usable && !pipelineDrivers[d.Driver] {
			return d.Path, nil
		}
		why := d.Error
		if why == "" {
			why = "no format that can be used"
		}
		seen = append(seen, fmt.Sprintf("%s (%s): %s", d.Path, d.Name, why))
	}
	e := &capture.Error{Op: "look for a camera in /dev/video*", Err: errors.New("there is none"), Config: true,
		Hint: "plug in a camera, or try --source pattern for a synthetic one"}
	if len(seen) > 0 {
		e.Err = fmt.Errorf("none is usable: %s", strings.Join(seen, "; "))
	}
	if nodes, _ := filepath.Glob("/dev/video[0-9]*"); len(nodes) > 0 {
		denied := 0
		for _, n := range nodes {
			if unix.Access(n, unix.R_OK|unix.W_OK) == unix.EACCES {
				denied++
			}
		}
		if denied == len(nodes) {
			e.Hint = hintGroup
		}
	}
	return "", e
}

var pipelineDrivers = map[string]bool{"bcm2835-isp": true, "bcm2835-codec": true, "bcm2835-codec-decode": true, "pispbe": true, "rp1-cfe": true, "unicam": true, "rkisp1": true}

// List describes all capture devices of this machine. One that cannot be asked
// is listed with the reason.
func List() ([]DeviceInfo, error) {
	devs, err := v4l2.Devices()
	if err != nil {
		return nil, err
	}
	var out []DeviceInfo
	for _, d := range devs {
		di := DeviceInfo{Path: d.Path, Name: d.Name, Driver: d.Driver, Bus: d.Bus}
		dev, err := v4l2.Open(d.Path)
		if err != nil {
			di.Error = explain("open "+d.Path, d.Path, err).Error()
			out = append(out, di)
			continue
		}
		if dev.Capability().IsCapture() {
			di.fill(dev)
			out = append(out, di)
		}
		dev.Close()
	}
	return out, nil
}

func (di *DeviceInfo) fill(dev *v4l2.Device) {
	c := dev.Capability()
	di.Name, di.Driver, di.Bus = c.Card, c.Driver, c.Bus
	descs, err := dev.Formats()
	if err != nil {
		di.Error = err.Error()
	}
	for _, d := range descs {
		fi := FormatInfo{FourCC: d.PixelFormat.String(), Description: d.Description}
		if f, ok := natives[d.PixelFormat]; ok {
			fi.Word = f.Word()
			di.Usable = true
		}
		sizes, err := dev.FrameSizes(d.PixelFormat)
		if err != nil {
			di.Error = err.Error()
		}
		for _, s := range sizes {
			si := SizeInfo{Width: s.MaxWidth, Height: s.MaxHeight}
			if !s.Discrete() {
				si.MinWidth, si.MinHeight = s.MinWidth, s.MinHeight
			}
			ivals, err := dev.Intervals(d.PixelFormat, s.MaxWidth, s.MaxHeight)
			if err != nil {
				di.Error = err.Error()
			}
			for _, iv := range ivals {
				si.FPS = append(si.FPS, round(iv.Min.FPS()))
				if !iv.Discrete {
					si.MinFPS = round(iv.Max.FPS())
				}
			}
			sort.Sort(sort.Reverse(sort.Float64Slice(si.FPS)))
			fi.Sizes = append(fi.Sizes, si)
		}
		di.Formats = append(di.Formats, fi)
	}
	ctrls, err := dev.Controls()
	if err != nil {
		di.Error = err.Error()
	}
	di.Controls = readControls(dev, ctrls)
}

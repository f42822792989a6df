package open

import (
	"context"
	"fmt"

	"framepipe/capture/rpicam"
	"framepipe/capture/v4l2src"
)

// Devices lists the cameras of this machine: V4L2 capture devices, and what
// libcamera has where rpicam-vid or libcamera-vid is installed.
func Devices(ctx context.Context) ([]v4l2src.DeviceInfo, error) {
	list, err := v4l2src.List()
	if err != nil {
		return nil, err
	}
	cams, err := rpicam.List(ctx)
	if err != nil {
		return list, nil // not installed, or no libcamera camera: nothing to list
	}
	for _, c := range cams {
		if c.USB { // listed already
			continue
		}
		list = append(list, v4l2src.DeviceInfo{Path: fmt.Sprintf("rpicam:%d", c.Index), Name: c.Name + " " + c.Size, Driver: "libcamera", Bus: c.ID, Usable: true})
	}
	return list, nil
}

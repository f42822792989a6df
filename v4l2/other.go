//go:build !linux || !(amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

// Devices lists no devices: there is no V4L2 here.
func Devices() ([]DeviceInfo, error) { return nil, nil }

//go:build !linux

package main

import (
	"errors"
	"time"
)

// processCPU is not needed where links cannot be emulated.
func processCPU() (time.Duration, error) { return 0, errors.ErrUnsupported }

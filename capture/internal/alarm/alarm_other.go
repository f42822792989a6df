//go:build !linux

package alarm

import (
	"context"
	"errors"
	"time"
)

// exact is not needed, or not to be had, here.
type exact struct{}

func (*exact) open()        {}
func (*exact) usable() bool { return false }
func (*exact) close()       {}

func (*exact) wait(context.Context, time.Duration) error { return errors.ErrUnsupported }

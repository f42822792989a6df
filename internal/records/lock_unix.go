//go:build unix

package records

import (
	"errors"
	"os"
	"syscall"
)

var errTaken = errors.New("it is locked")

// takeLock locks a file for as long as this process has it open: flock(2).
func takeLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errTaken
		}
		return nil, err
	}
	return f, nil
}

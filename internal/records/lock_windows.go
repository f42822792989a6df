//go:build windows

package records

import (
	"errors"
	"os"
	"syscall"
)

var errTaken = errors.New("it is locked")

// takeLock opens a file that nobody else can open meanwhile: CreateFileW without sharing.
func takeLock(name string) (*os.File, error) {
	p, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(p, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		if err == syscall.Errno(32) { // ERROR_SHARING_VIOLATION
			err = errTaken
		}
		return nil, err
	}
	return os.NewFile(uintptr(h), name), nil
}

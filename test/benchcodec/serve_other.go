//go:build !linux

package main

import "errors"

func (b *bench) serving() error {
	b.missing = append(b.missing, "serving a camera: only on Linux")
	return nil
}

func serve(string, string) error { return errors.ErrUnsupported }

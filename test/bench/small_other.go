//go:build !linux

package main

import "fmt"

func (b *bench) small(int) error {
	fmt.Println("# small machines: measured on Linux only")
	return nil
}

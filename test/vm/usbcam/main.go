//go:build linux

// placeholder
package main

func main() {}

//go:build !cgo

package mjpeg

const cgo = false

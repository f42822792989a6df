//go:build cgo

package mjpeg

const cgo = true

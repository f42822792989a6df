//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm)

package v4l2

const inputSize = 80

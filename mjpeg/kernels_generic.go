//go:build purego || (!amd64 && !arm64)

package mjpeg

// This machine has no vector kernels of ours.
const (
	haveIDCT   = false
	transposed = false
	kernelName = ""
)

func idctFast(*[64]int16, *byte, int)  {}
func idct4Fast(*[64]int16, *byte, int) {}

func forward(coef [][64]int16, mask []uint64, src []byte, stride int, scale *scaleTable) {
	forwardGo(coef, mask, src, stride, scale)
}

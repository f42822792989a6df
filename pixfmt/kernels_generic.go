//go:build purego || (!amd64 && !arm64)

package pixfmt

// This machine has no vector kernels of ours.

func fastRGB() bool { return false }

func fastLumaOfPacked(d, s []byte, shift int) int         { return 0 }
func fastChromaOfPacked(u, v, a, b []byte, shift int) int { return 0 }
func fastSplitUV(u, v, s []byte) int                      { return 0 }
func fastPlanarToRGB(d, yy, u, v []byte, bgr bool) int    { return 0 }

func fastLumaOfRGB(d, s []byte, bgr bool) int         { return 0 }
func fastChromaOfRGB(u, v, a, b []byte, bgr bool) int { return 0 }

// Package pixfmt knows how uncompressed pictures lie in memory, and changes one
// layout into another: conversions, scaling down, turning and mirroring, and
// removing the padding that cameras leave at the right and below.
//
// It does not compress (package mjpeg does) and does not decide what has to be
// done to a frame (package transform does).
//
// # Facts
//
// Layouts are those of the kernel's userspace-api/media/v4l/pixfmt-*.rst. With an
// explicit stride the chroma planes of I420 have half of it (rounded up), the
// chroma plane of NV12 has the same. Widths and heights may be odd: chroma is
// then rounded up. Colours are JFIF's: BT.601, full range, as JPEG and libcamera's
// default; limited-range video is not rescaled. Arithmetic agrees to the bit with
// image/color's RGBToYCbCr and YCbCrToRGB. Chroma is averaged when it is thinned
// out and repeated when it is spread.
//
// # Memory
//
// All buffers are the caller's, nothing is kept, and only a Scaler's first use
// allocates. Source and destination must not overlap, except in Unpad.
package pixfmt

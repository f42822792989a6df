// Package v4l2src is the camera behind /dev/video*: webcams, capture cards,
// v4l2loopback, and the Raspberry Pi camera of the legacy stack. It chooses a
// native format, negotiates it, and gives frames out straight from the driver's
// memory. It does not convert or repair pictures; Meta says what they are.
//
// # Memory
//
// A frame's Data is the driver's mapped buffer, and its last Release queues the
// buffer again, from whatever goroutine. When so many frames are out that the
// driver would be left with fewer than two buffers, the next is a copy from a
// pool instead, so that a slow consumer never stops the others. Frames outlive
// Close: their mapping goes with the last of them.
//
// # Modes
//
// Sequence keeps four buffers queued and one goroutine that dequeues: Next gives
// the newest ready frame, older ones are counted as passed over, and the driver
// never runs dry while a consumer is busy. Continuous queues one buffer per
// Next; the driver drops what comes in between, which shows as sequence gaps.
// The still port restarts the camera at its largest size for every frame.
//
// Facts are from the kernel's userspace-api/media/v4l documentation (buffer.rst,
// mmap.rst, dev-capture.rst) and, about uvcvideo and vivid, their sources.
package v4l2src

// Package v4l2 is a thin layer over the Linux video capture API, without cgo
// and without any dependency but golang.org/x/sys/unix: open a camera, ask what
// it can do, set a format, stream its frames out of memory-mapped buffers.
//
// It stays close to the ioctls: what the driver answers is returned, what it
// refuses is an [*Error] that names the request and unwraps to the errno. It
// chooses nothing on the caller's behalf and starts no goroutine. Only capture
// is covered (single- and multi-planar, streaming I/O with MMAP buffers); no
// output devices, codecs, sub-devices, media controller or DMA-BUF.
//
// # Memory
//
// A [Stream]'s buffers belong to the driver while queued and to the caller from
// Wait or Dequeue until Queue. [Stream.Data] is the mapping itself, valid until
// [Stream.Unmap]; nothing is copied. In steady state neither Queue, Dequeue nor
// Wait allocates.
//
// # Waiting
//
// Stream.Wait uses the Go runtime's poller rather than a thread in poll(2), so
// that on a machine with one core a waiting camera holds up nobody else.
//
// # Layouts
//
// The structs that the ioctls carry differ between 64-bit and 32-bit systems
// (v4l2_format 208 and 204 bytes, v4l2_buffer 88 and 68), and their size is part
// of the request's number. On 32-bit systems the layout with a 32-bit struct
// timeval is used, which every kernel with CONFIG_COMPAT_32BIT_TIME understands,
// those from before 5.6 included; the stamps are CLOCK_MONOTONIC, so that 32
// bits of seconds suffice.
//
// Facts are from the kernel's Documentation/userspace-api/media/v4l and
// include/uapi/linux/videodev2.h.
package v4l2

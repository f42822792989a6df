//go:build linux && (amd64 || arm64 || riscv64 || loong64 || arm || 386)

package v4l2

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stream is a device's set of mapped buffers. Wait and Dequeue are for one
// goroutine at a time; Queue may be called by any, for different buffers at
// once; Stop by any, and ends a Wait.
type Stream struct {
	d    *Device
	bufs []streamBuffer

	deq       rawBuffer // the DQBUF argument, kept on the heap
	deqPlanes [maxPlanes]rawPlane

	waiter
}

// streamBuffer keeps the QBUF argument of each buffer, so that concurrent Queue
// calls neither share nor allocate one.
type streamBuffer struct {
	data   []byte
	raw    rawBuffer
	planes [maxPlanes]rawPlane
}

// NewStream asks the driver for count buffers (it may give more or fewer, see
// Len) and maps them. Set the format first. Only formats with one memory plane
// are supported.
func (d *Device) NewStream(count int) (*Stream, error) {
	rb := rawRequestBuffers{Count: uint32(count), Type: d.bufType, Memory: memoryMMAP}
	if err := ioctl(d.fd, vidiocReqBufs, unsafe.Pointer(&rb)); err != nil {
		return nil, d.wrap(fmt.Sprintf("VIDIOC_REQBUFS %d", count), err)
	}
	if rb.Count == 0 || rb.Count > 64 {
		return nil, d.wrap(fmt.Sprintf("VIDIOC_REQBUFS %d", count), fmt.Errorf("driver gave %d buffers", rb.Count))
	}
	s := &Stream{d: d, bufs: make([]streamBuffer, rb.Count)}
	s.waiter.init(s)
	for i := range s.bufs {
		if err := s.mapBuffer(i); err != nil {
			s.Free()
			return nil, err
		}
	}
	return s, nil
}

func (s *Stream) mapBuffer(i int) error {
	b := &s.bufs[i]
	s.prepare(&b.raw, &b.planes, i)
	if err := ioctl(s.d.fd, vidiocQueryBuf, unsafe.Pointer(&b.raw)); err != nil {
		return s.d.wrap(fmt.Sprintf("VIDIOC_QUERYBUF %d", i), err)
	}
	off, n := int64(uint32(b.raw.M)), int(b.raw.Length)
	if s.d.MPlane() {
		if b.raw.Length != 1 {
			return s.d.wrap("VIDIOC_QUERYBUF", fmt.Errorf("format has %d memory planes; only one is supported", b.raw.Length))
		}
		off, n = int64(uint32(b.planes[0].M)), int(b.planes[0].Length)
	}
	m, err := unix.Mmap(s.d.fd, off, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return s.d.wrap(fmt.Sprintf("mmap of buffer %d, %d bytes", i, n), err)
	}
	b.data = m
	return nil
}

// prepare clears a v4l2_buffer for a request on buffer i.
func (s *Stream) prepare(r *rawBuffer, planes *[maxPlanes]rawPlane, i int) {
	*r = rawBuffer{Index: uint32(i), Type: s.d.bufType, Memory: memoryMMAP}
	if s.d.MPlane() {
		*planes = [maxPlanes]rawPlane{}
		r.M, r.Length = uintptr(unsafe.Pointer(planes)), maxPlanes // planes live as long as s
	}
}

// Len is how many buffers there are.
func (s *Stream) Len() int { return len(s.bufs) }

// Data is the mapping of buffer i; nil once unmapped.
func (s *Stream) Data(i int) []byte { return s.bufs[i].data }

// Queue gives buffer i to the driver.
func (s *Stream) Queue(i int) error {
	b := &s.bufs[i]
	s.prepare(&b.raw, &b.planes, i)
	if s.d.MPlane() {
		b.raw.Length = 1
	}
	if err := ioctlNow(s.d.fd, vidiocQBuf, unsafe.Pointer(&b.raw)); err != nil {
		return s.d.wrap(fmt.Sprintf("VIDIOC_QBUF %d", i), err)
	}
	return nil
}

// Dequeue takes the next filled buffer. The error is a bare EAGAIN when none is
// ready.
func (s *Stream) Dequeue(b *Buffer) error {
	s.prepare(&s.deq, &s.deqPlanes, 0)
	err := ioctlNow(s.d.fd, vidiocDQBuf, unsafe.Pointer(&s.deq))
	runtime.KeepAlive(s)
	if err != nil {
		if err == unix.EAGAIN {
			return err
		}
		return s.d.wrap("VIDIOC_DQBUF", err)
	}
	r := &s.deq
	if int(r.Index) >= len(s.bufs) {
		return s.d.wrap("VIDIOC_DQBUF", fmt.Errorf("driver gave buffer %d of %d", r.Index, len(s.bufs)))
	}
	*b = Buffer{Index: int(r.Index), BytesUsed: int(r.BytesUsed), Flags: r.Flags, Field: r.Field, Sequence: r.Sequence,
		Timestamp: int64(r.Sec)*1e9 + int64(r.Usec)*1e3}
	if s.d.MPlane() {
		b.BytesUsed, b.DataOffset = int(s.deqPlanes[0].BytesUsed), int(s.deqPlanes[0].DataOffset)
	}
	return nil
}

// Start begins streaming. Queue buffers first: some drivers refuse to start, and
// all report an error on poll, with none queued.
func (s *Stream) Start() error {
	t := s.d.bufType
	if err := ioctl(s.d.fd, vidiocStreamOn, unsafe.Pointer(&t)); err != nil {
		return s.d.wrap("VIDIOC_STREAMON", err)
	}
	s.mu.Lock()
	s.stopped, s.missed, s.deadline = false, 0, time.Time{}
	err := s.register()
	s.mu.Unlock()
	if err != nil {
		s.Stop()
		return s.d.wrap("register with the poller", err)
	}
	return nil
}

// SetDeadline makes Wait return os.ErrDeadlineExceeded at t, the present Wait
// included; zero means never.
func (s *Stream) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.file == nil {
		return ErrStopped
	}
	return s.file.SetReadDeadline(t)
}

// Interrupt makes the present Wait and all later ones return ErrStopped, so that
// the goroutine in it can be awaited before Stop.
func (s *Stream) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// Stop ends streaming. All buffers are then the caller's. The goroutine in Wait
// must have returned: see Interrupt.
func (s *Stream) Stop() error {
	s.Interrupt()
	t := s.d.bufType
	return s.d.wrap("VIDIOC_STREAMOFF", ioctl(s.d.fd, vidiocStreamOff, unsafe.Pointer(&t)))
}

// Unmap unmaps buffer i. Data(i) must not be used any more. It may be called
// after the device was closed.
func (s *Stream) Unmap(i int) error {
	m := s.bufs[i].data
	if m == nil {
		return nil
	}
	s.bufs[i].data = nil
	return unix.Munmap(m)
}

// Release takes the buffers from the device, so that another format can be set
// or another program can have it. Buffers still mapped stay readable; drivers
// without orphaned buffers (kernels before 4.20) answer EBUSY while there are any.
func (s *Stream) Release() error {
	rb := rawRequestBuffers{Type: s.d.bufType, Memory: memoryMMAP}
	return s.d.wrap("VIDIOC_REQBUFS 0", ioctl(s.d.fd, vidiocReqBufs, unsafe.Pointer(&rb)))
}

// Free unmaps all buffers and releases them.
func (s *Stream) Free() error {
	for i := range s.bufs {
		s.Unmap(i)
	}
	return s.Release()
}

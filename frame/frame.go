package frame

import (
	"fmt"
	"sync/atomic"
)

// SenderStamps are the moments of a frame's way on the camera's machine.
type SenderStamps struct {
	Captured    SenderTime // by the driver or the sensor; StampKind says which instant it is
	Dequeued    SenderTime // this program got hold of it
	Encoded     SenderTime // conversion or compression finished; equal to Dequeued when nothing was to be done
	SendStarted SenderTime // the send loop gave it to the socket
}

// ReceiverStamps are the moments of a frame's way on the viewer's machine.
type ReceiverStamps struct {
	FirstByte ReceiverTime // the first read that returned a part of the frame
	LastByte  ReceiverTime // the read that completed it
	Delivered ReceiverTime // handed to the viewers
}

// Meta is everything about a frame but its payload.
type Meta struct {
	// Seq numbers the camera's frames, beginning with 1 and counting those that
	// were lost, so that a gap in Seq is a loss.
	Seq uint64

	Format        FourCC
	Width, Height int // in pixels; 0 where unknown (a JPEG nobody looked into)
	Stride        int // bytes from one row of the first plane to the next; 0 for compressed formats

	StampKind StampKind
	SenderStamps
	ReceiverStamps

	// Counts is the sender's ledger as of this frame. A source fills Offered
	// and the causes it knows of; the send loop completes it.
	Counts Counts
}

// Owner takes a frame back after its last Release.
type Owner interface {
	// Recycle is called once per life of a frame, on the goroutine of the last
	// Release. It must not block.
	Recycle(*Frame)
}

// A Frame is one picture on its way. See the package comment for who may do
// what with its memory.
type Frame struct {
	Meta
	Data []byte // the payload: the compressed picture, or all planes one after another

	refs  atomic.Int32
	owner Owner
}

// New wraps data in a frame with one reference. After the last Release, owner
// (if not nil) is told; it may call Reset and use the frame again.
func New(data []byte, owner Owner) *Frame {
	f := &Frame{Data: data, owner: owner}
	f.refs.Store(1)
	return f
}

// Reset gives a frame that came back to its owner a new life: one reference,
// this payload, and an empty Meta.
func (f *Frame) Reset(data []byte) {
	if n := f.refs.Load(); n != 0 {
		panic(fmt.Sprintf("frame: Reset of a frame with %d references", n))
	}
	f.Meta = Meta{}
	f.Data = data
	f.refs.Store(1)
}

// Retain adds a reference and returns f. The caller must hold one already.
func (f *Frame) Retain() *Frame {
	if f.refs.Add(1) <= 1 {
		panic("frame: Retain after the last Release")
	}
	return f
}

// Release gives up one reference. Releasing too often panics: somebody would
// otherwise see another frame's pixels.
func (f *Frame) Release() {
	switch n := f.refs.Add(-1); {
	case n > 0:
	case n == 0:
		if f.owner != nil {
			f.owner.Recycle(f)
		}
	default:
		panic("frame: released more often than retained")
	}
}

// Refs is the number of references, for tests that look for leaks.
func (f *Frame) Refs() int { return int(f.refs.Load()) }

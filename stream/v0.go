package stream

import (
	"errors"
	"fmt"
	"net/netip"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
	"framepipe/wire"
)

// RawFormat is what the user says about raw v0 frames. Zero fields are worked
// out from the frames' lengths, with the origin's size where none is given.
type RawFormat struct {
	Format        frame.FourCC // I420 or RGB24; 0 = either, by length; JPEG is always recognised by itself
	Width, Height int          // 0 = 320x240
}

func (r RawFormat) size() (w, h int) {
	if r.Width == 0 || r.Height == 0 {
		return 320, 240
	}
	return r.Width, r.Height
}

// serveV0 reads the origin's format until the camera ends: nil after a length of
// zero.
func (r *Receiver) serveV0(c *feedConn, addr netip.Addr) error {
	if r.cfg.Admit != nil {
		if err := r.cfg.Admit(&Peer{Addr: addr}); err != nil {
			return err
		}
	}
	// A garbled or foreign protocol shows in its first length, before anybody is
	// told of a camera.
	b, err := c.reader.peek(wire.V0HeaderSize)
	if err != nil {
		return err
	}
	if err := r.checkV0(wire.ParseV0(b)); err != nil {
		return err
	}
	c.v0 = true
	for {
		if err := c.reader.arm(); err != nil {
			return err
		}
		if _, err := c.reader.peek(1); err != nil {
			return err
		}
		first := c.reader.filled
		b, err := c.reader.next(wire.V0HeaderSize)
		if err != nil {
			return err
		}
		n := wire.ParseV0(b)
		if n == 0 && c.feed == nil {
			return nil
		}
		f := c.feed
		if n == 0 {
			f.Meter.End(frame.ReceiverNow())
			f.detach(c, "the sender ended")
			c.log.Info("camera ended", "camera", f.name)
			return nil
		}
		if err := r.checkV0(n); err != nil {
			return err
		}
		fr, _, err := c.reader.payload(int(n))
		if err != nil {
			return err
		}
		// And whoever connects and sends no frame is none.
		if f == nil {
			if c.feed, err = r.attach(c, "v0-"+addr.String(), 0, nil); err != nil {
				fr.Release()
				return err
			}
			c.log.Info("camera connected", "camera", c.feed.name, "wire", "v0")
		}
		fr.FirstByte, fr.LastByte = first, c.reader.filled
		r.deliverV0(c, fr)
		fr.Release()
	}
}

func (r *Receiver) checkV0(n uint32) error {
	if int64(n) > int64(r.cfg.MaxFrame) {
		r.limits[limitFrame].Add(1)
		return fmt.Errorf("it announces a frame of %d bytes, more than the %d that --max-frame allows; this is no framepipe or origin sender, or the limit is too low", n, r.cfg.MaxFrame)
	}
	return nil
}

// deliverV0 finds out what a frame is and delivers it. One that is neither JPEG
// nor a raw picture of the expected size is delivered as well, as the origin
// counts it, but marked as of unknown format.
func (r *Receiver) deliverV0(c *feedConn, fr *frame.Frame) {
	feed := c.feed
	feed.mu.Lock()
	feed.received++
	fr.Seq = feed.received
	feed.mu.Unlock()
	err := r.recognise(fr)
	if errors.Is(err, errBomb) {
		r.limits[limitPixels].Add(1)
		feed.refused(nil, false)
		c.log.Warn("frame refused", "camera", feed.name, "frame", fr.Seq, "cause", err)
		return
	}
	if err != nil {
		feed.mu.Lock()
		feed.strange++
		firstOne := feed.strange == 1
		feed.mu.Unlock()
		if firstOne {
			c.log.Warn("cannot tell what these frames are; they are counted, but cannot be shown", "camera", feed.name, "cause", err)
		}
	}
	feed.deliver(fr, false, nil)
}

var errBomb = errors.New("a size that is refused")

func (r *Receiver) recognise(fr *frame.Frame) error {
	d := fr.Data
	if len(d) >= 2 && d[0] == 0xff && d[1] == 0xd8 {
		h, err := mjpeg.Header(d)
		if err != nil {
			return err
		}
		if int64(h.Width)*int64(h.Height) > r.cfg.MaxPixels {
			return fmt.Errorf("%w: JPEG claims %dx%d", errBomb, h.Width, h.Height)
		}
		fr.Format, fr.Width, fr.Height = frame.JPEG, h.Width, h.Height
		return nil
	}
	w, h := r.cfg.Raw.size()
	for _, format := range []frame.FourCC{frame.I420, frame.RGB24} {
		if r.cfg.Raw.Format != 0 && r.cfg.Raw.Format != frame.JPEG && r.cfg.Raw.Format != format {
			continue
		}
		if _, ok := pixfmt.Padded(format, w, h, len(d)); !ok {
			continue
		}
		tight, _, err := pixfmt.Unpad(d, d, format, w, h)
		if err != nil {
			return err
		}
		fr.Data = tight
		fr.Format, fr.Width, fr.Height, fr.Stride = format, w, h, pixfmt.Stride(format, w)
		return nil
	}
	return fmt.Errorf("%d bytes are neither a JPEG nor a yuv or rgb picture of %dx%d: use -W, -H and --format", len(d), w, h)
}

// checkRaw holds a v1 raw frame's description against its length.
func checkRaw(f *frame.Frame, maxPixels int64) error {
	if f.Width <= 0 || f.Height <= 0 || int64(f.Width)*int64(f.Height) > maxPixels {
		return fmt.Errorf("%w: raw frame of %dx%d, --max-pixels allows %d", errBomb, f.Width, f.Height, maxPixels)
	}
	want := pixfmt.Size(f.Format, f.Width, f.Height, f.Stride)
	if want == 0 {
		return fmt.Errorf("unknown format %v", f.Format)
	}
	if len(f.Data) < want {
		return fmt.Errorf("%v of %dx%d, stride %d, needs %d bytes and has %d", f.Format, f.Width, f.Height, f.Stride, want, len(f.Data))
	}
	return nil
}

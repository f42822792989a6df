//go:build linux

package rpicam

import (
	"errors"
	"os"
	"strings"
	"time"

	"framepipe/frame"
	"framepipe/internal/rawio"
	"framepipe/mjpeg"
)

// awaitRecord is how long a frame waits for its metadata, which are written right
// behind it.
const awaitRecord = 50 * time.Millisecond

// numbered is a metadata record with the number of its frame.
type numbered struct {
	n uint64
	record
}

// readMetadata numbers the records and hands them to readFrames. It never makes the
// program wait: a record that finds the queue full is dropped.
func (c *camera) readMetadata() {
	defer close(c.ended[0])
	n := uint64(0)
	fifo := rawio.NewReader(c.fifo)
	readRecords(fifo, func(r record) bool {
		n++
		select {
		case c.recs <- numbered{n, r}:
		default:
		}
		return true
	})
	// After an error no record comes any more: frames get the stamp of their
	// arrival. The FIFO still has to be emptied.
	buf := make([]byte, 4096)
	for {
		if _, err := fifo.Read(buf); err != nil {
			return
		}
	}
}

func (c *camera) readFrames() {
	defer close(c.ended[1])
	next, broken, err := c.reader()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last record
	misses := 0
	for n := uint64(1); err == nil; n++ {
		var f *frame.Frame
		if f, err = next(); err != nil {
			break
		}
		f.Dequeued = frame.SenderNow()
		f.Captured, f.StampKind = f.Dequeued, frame.StampArrival
		c.slot.Lose(frame.LostCorrupt, broken())
		if c.fifo != nil && misses < 5 {
			if r, ok := c.recordOf(n, timer); !ok {
				misses++
				last = record{} // what comes next tells nothing about what was lost
			} else if misses = 0; r.sensor > 0 && frame.SenderTime(r.sensor) <= f.Dequeued {
				f.Captured, f.StampKind = frame.SenderTime(r.sensor), frame.StampReadout
				d := r.duration
				if d == 0 {
					d = int64(1e6 / c.cfg.FPS)
				}
				c.slot.Lose(frame.LostGap, gap(last.sensor, r.sensor, d))
				last = r
			}
		}
		if !c.slot.Put(f) {
			return
		}
	}
	select { // its last words come with its end
	case <-c.proc.done:
	case <-time.After(2 * time.Second):
	}
	c.slot.End(explain("read "+strings.TrimPrefix(c.op, "open "), c.proc.tail, err))
}

// recordOf waits for the record of frame n.
func (c *camera) recordOf(n uint64, timer *time.Timer) (record, bool) {
	timer.Reset(awaitRecord)
	defer timer.Stop()
	for {
		select {
		case r := <-c.recs:
			if r.n == n {
				return r.record, true
			}
			if r.n > n { // its own was dropped
				return record{}, false
			}
		case <-timer.C:
			return record{}, false
		}
	}
}

// reader gives a function that reads the next frame, and one that says how many
// broken ones it skipped since it was last asked.
func (c *camera) reader() (next func() (*frame.Frame, error), broken func() uint64, err error) {
	if c.cfg.Format == frame.JPEG {
		rawio.GrowPipe(c.proc.out, 256<<10) // a frame of usual size; more would let frames grow old there
		s := mjpeg.NewSplitter(rawio.NewReader(c.proc.out), &c.pool, 0)
		told := int64(0)
		return func() (*frame.Frame, error) {
				f, err := s.Next()
				if err == nil {
					if h, err := mjpeg.Header(f.Data); err == nil {
						f.Width, f.Height = h.Width, h.Height
					}
				}
				return f, err
			}, func() uint64 {
				n := s.Broken() - told
				told += n
				return uint64(n)
			}, nil
	}
	r := &rawReader{r: rawio.NewReader(c.proc.out), pool: &c.pool}
	if r.l, err = c.learnLayout(); err != nil {
		return nil, nil, err
	}
	rawio.GrowPipe(c.proc.out, min(r.l.length, 1<<20)) // Linux' limit for everybody
	return r.next, func() uint64 { return 0 }, nil
}

// learnLayout waits for the program to say how long the first buffer is.
func (c *camera) learnLayout() (layout, error) {
	limit := time.NewTimer(firstFrame)
	defer limit.Stop()
	for {
		h := c.proc.tail.get()
		if h.length > 0 {
			w, hh := c.cfg.Width, c.cfg.Height
			if h.width > 0 {
				w, hh = h.width, h.height
			}
			return layoutOf(w, hh, h.length, isPiSP())
		}
		select {
		case <-c.proc.tail.news:
		case <-c.proc.done:
			if c.proc.tail.get().length == 0 {
				return layout{}, errors.New("it ended before the first frame")
			}
		case <-limit.C:
			return layout{}, errors.New("it does not say how long its frames are")
		}
	}
}

// isPiSP reports whether this is a machine with the newer image signal processor.
func isPiSP() bool {
	b, err := os.ReadFile("/proc/device-tree/compatible")
	return err == nil && strings.Contains(string(b), "brcm,bcm2712")
}

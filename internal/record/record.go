// Package record writes what a camera delivers to Matroska files (V_MJPEG, true
// times, every stamp of each frame), beside the live view and never in its way.
//
// It does not convert video, does not delete old files, and does not show them:
// players and capture/replay do.
//
// # Threads and memory
//
// A recording has two goroutines. The taker subscribes to the camera's hub like any
// viewer, copies each frame (the original may be a driver's buffer) and puts it
// into a queue of at most 32 MiB and 256 frames; the writer writes. What does not
// fit is lost to the recording, counted as disk_slow, and to nobody else. When a
// write fails, the frame is counted as disk_full or disk_error, what it left is cut
// off the file, and the next one is tried again every second: recordings go on by
// themselves when there is room again.
//
// # Files
//
// Frames are one cluster each, written by one system call, so that a program which
// is killed loses at most the frame that it was writing. A new file is begun when
// one grows beyond its limits or the picture changes its size. See docs/recording.md.
package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"framepipe/capture/replay/stamps"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/stream"
)

const (
	queueBytes  = 32 << 20
	queueFrames = 256
	retryEvery  = time.Second
	sayEvery    = 10 * time.Second
	lapseFrame  = 40 * time.Millisecond // a timelapse plays at 25 fps
)

// Options are what a recording is to be like.
type Options struct {
	Path     string        // of the first file; its folder must exist
	MaxSize  int64         // begin another file beyond so many bytes; 0 = never
	MaxTime  time.Duration // and after so long; 0 = never
	Every    time.Duration // timelapse: one frame each Every; 0 = all frames
	Quality  int           // of the JPEGs that raw frames become; 0 = 95
	Software string
	Log      *slog.Logger

	open func(path string) (file, string, error) // for tests
}

// Losses counts frames that a recording lacks, by cause.
type Losses struct {
	Busy  uint64 `json:"recorder_busy,omitempty"` // a newer one came before this one was copied or encoded
	Slow  uint64 `json:"disk_slow,omitempty"`     // the queue was full
	Full  uint64 `json:"disk_full,omitempty"`
	Error uint64 `json:"disk_error,omitempty"`
	Bad   uint64 `json:"not_a_picture,omitempty"` // of no format that can be kept
}

// Total adds up all causes.
func (l *Losses) Total() uint64 { return l.Busy + l.Slow + l.Full + l.Error + l.Bad }

// Status describes a recording.
type Status struct {
	Recording bool      `json:"recording"`
	Since     time.Time `json:"since"`
	File      string    `json:"file,omitempty"` // the newest
	Files     int       `json:"files"`
	Frames    uint64    `json:"frames"`
	Bytes     int64     `json:"bytes"`
	Waiting   int       `json:"waiting_bytes"` // copied and not written yet
	Lost      Losses    `json:"lost"`
	Error     string    `json:"error,omitempty"` // why nothing can be written now
	EveryS    float64   `json:"every_s,omitempty"`
}

// Recording is one camera being recorded. See Start.
type Recording struct {
	feed   *stream.Feed
	opt    Options
	sub    *stream.Viewer
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the end; read after done

	mu      sync.Mutex
	queue   []*entry      // guarded by mu, as all below
	waiting int           // bytes in queue and being written
	ended   bool          // no more entries come
	wake    chan struct{} // capacity 1
	st      Status

	pool frame.Pool
}

// entry is a frame on its way to the disk: room for a cluster's head and foot around
// the picture, and its stamps.
type entry struct {
	f       *frame.Frame
	w, h    int
	arrived frame.ReceiverTime
	s       stamps.Stamps
}

// Start begins to record f.
func Start(f *stream.Feed, opt Options) (*Recording, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Quality == 0 {
		opt.Quality = 95
	}
	if opt.open == nil {
		opt.open = func(path string) (file, string, error) {
			f, err := create(path)
			if err != nil {
				return nil, "", err
			}
			return f, f.Name(), nil
		}
	}
	// A folder that is not there is a mistake to be told now, and not with each frame.
	if st, err := os.Stat(filepath.Dir(opt.Path)); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	} else if !st.IsDir() {
		return nil, fmt.Errorf("recording: %s is not a folder", filepath.Dir(opt.Path))
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recording{feed: f, opt: opt, sub: f.Hub.Subscribe(), cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	r.st = Status{Recording: true, Since: time.Now(), EveryS: opt.Every.Seconds()}
	var taker sync.WaitGroup
	taker.Go(func() {
		r.take(ctx)
		r.sub.Close()
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
		r.signal()
	})
	go func() {
		defer close(r.done)
		r.err = r.write()
		cancel()
		taker.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.st.Recording = false
		for _, e := range r.queue {
			e.f.Release()
		}
		r.queue = nil
	}()
	return r, nil
}

// Stop ends a recording: what is in the queue is written, the file is finished. It
// waits for that as long as ctx allows; a disk that hangs is left to itself then.
func (r *Recording) Stop(ctx context.Context) (Status, error) {
	r.cancel()
	select {
	case <-r.done:
		return r.Status(), r.err
	case <-ctx.Done():
		return r.Status(), errors.New("the disk does not take the end of the recording")
	}
}

// Status is how it goes.
func (r *Recording) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.st
	s.Waiting = r.waiting
	if r.opt.Every == 0 {
		s.Lost.Busy = r.sub.Dropped()
	}
	return s
}

func (r *Recording) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take copies frames into the queue until ctx ends.
func (r *Recording) take(ctx context.Context) {
	enc := mjpeg.NewEncoder()
	var buf []byte
	var next frame.ReceiverTime
	for {
		fr, err := r.sub.Next(ctx)
		if err != nil {
			return
		}
		if r.opt.Every > 0 {
			if next != 0 && fr.LastByte < next {
				fr.Release()
				continue
			}
			if next == 0 || fr.LastByte.Sub(next) > r.opt.Every {
				next = fr.LastByte
			}
			next += frame.ReceiverTime(r.opt.Every)
		}
		picture := fr.Data
		if fr.Format != frame.JPEG {
			if buf, err = enc.Encode(buf[:0], fr, r.opt.Quality); err == nil {
				picture = buf
			}
		}
		var h mjpeg.Info
		if err == nil {
			h, err = mjpeg.Header(picture)
		}
		if err != nil {
			fr.Release()
			r.mu.Lock()
			r.st.Lost.Bad++
			r.mu.Unlock()
			continue
		}
		r.put(fr, picture, h.Width, h.Height)
		fr.Release()
	}
}

func (r *Recording) put(fr *frame.Frame, picture []byte, w, h int) {
	n := headLen + len(picture) + footLen
	r.mu.Lock()
	if r.waiting+n > queueBytes && r.waiting > 0 || len(r.queue) >= queueFrames {
		r.st.Lost.Slow++
		r.mu.Unlock()
		return
	}
	r.waiting += n
	r.mu.Unlock()
	e := &entry{f: r.pool.Get(n), w: w, h: h, arrived: fr.LastByte}
	copy(e.f.Data[headLen:], picture)
	e.s = stamps.Stamps{Kind: fr.StampKind, Source: fr.Format, Seq: fr.Seq, SenderStamps: fr.SenderStamps, ReceiverStamps: fr.ReceiverStamps, Error: -1}
	at := fr.LastByte
	if o := r.feed.Clock(); o.Known && fr.Captured != 0 {
		e.s.Offset, e.s.Error = o.Offset, o.Error
		at = o.ToReceiver(fr.Captured)
	}
	e.s.Wall = time.Now().Add(-frame.ReceiverNow().Sub(at)).UnixNano()
	r.mu.Lock()
	r.queue = append(r.queue, e)
	r.mu.Unlock()
	r.signal()
}

// next waits for an entry; nil is the end.
func (r *Recording) next() *entry {
	for {
		r.mu.Lock()
		if len(r.queue) > 0 {
			e := r.queue[0]
			copy(r.queue, r.queue[1:])
			r.queue = r.queue[:len(r.queue)-1]
			r.mu.Unlock()
			return e
		}
		ended := r.ended
		r.mu.Unlock()
		if ended {
			return nil
		}
		<-r.wake
	}
}

// diskFull tells a disk without room from one that fails.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lateFile is a file of lines that is written behind the back of who writes to it:
// frames do not wait for a disk that is slow, full or hangs. What it does not take waits in
// memory, up to lateMost, and is tried again each second; lines beyond that are
// lost, whole, and counted.
type lateFile struct {
	what string // for people
	f    *os.File
	log  *slog.Logger
	done chan struct{} // closed when run has ended

	mu    sync.Mutex
	part  []byte        // guarded by mu, as all below; a line that has no end yet
	queue []byte        // whole lines
	ended bool          // no more lines come
	lost  uint64        // lines
	wake  chan struct{} // one token

	off  int64  // owned by run; what is in the file
	held []byte // owned by run; what is being written
}

const (
	lateMost  = 4 << 20
	lateRetry = time.Second
	lateEnd   = 700 * time.Millisecond // what a disk that hangs may keep the program for at its end
)

func createLate(what, name string, log *slog.Logger) (*lateFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &lateFile{what: what, f: f, log: log, done: make(chan struct{}), wake: make(chan struct{}, 1)}, nil
}

// Write takes b and returns at once. It never fails.
func (l *lateFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		k := bytes.IndexByte(b, '\n')
		if k < 0 {
			break
		}
		l.line(b[:k+1])
		b = b[k+1:]
	}
	l.part = append(l.part, b...)
	l.signal()
	return n, nil
}

// line queues what ends a line; the caller holds mu.
func (l *lateFile) line(b []byte) {
	if len(l.queue)+len(l.part)+len(b) > lateMost {
		l.lost++
	} else {
		l.queue = append(append(l.queue, l.part...), b...)
	}
	l.part = l.part[:0]
}

func (l *lateFile) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes until close has been called and everything is written, or cannot be.
func (l *lateFile) run() {
	defer close(l.done)
	var failed error
	for {
		l.mu.Lock()
		if len(l.held) == 0 {
			l.held, l.queue = l.queue, l.held[:0]
		}
		ended := l.ended
		l.mu.Unlock()
		if len(l.held) == 0 {
			if ended {
				return
			}
			<-l.wake
			continue
		}
		n, err := l.f.WriteAt(l.held, l.off)
		l.off += int64(n)
		l.held = l.held[:copy(l.held, l.held[n:])]
		switch {
		case err == nil && failed != nil:
			failed = nil
			l.log.Info(l.what + ": written again")
		case err != nil && failed == nil:
			failed = err
			l.log.Error(l.what+": cannot be written; this is tried again", "cause", err)
		}
		if err != nil && ended {
			l.giveUp()
			return
		}
		if err != nil {
			l.pause()
		}
	}
}

// pause waits for the next try; the end does not wait.
func (l *lateFile) pause() {
	t := time.NewTimer(lateRetry)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return
		case <-l.wake:
		}
		l.mu.Lock()
		ended := l.ended
		l.mu.Unlock()
		if ended {
			return
		}
	}
}

// giveUp counts what could not be written, and leaves no half a line behind.
func (l *lateFile) giveUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += uint64(bytes.Count(l.held, []byte{'\n'}) + bytes.Count(l.queue, []byte{'\n'}))
	l.held, l.queue = nil, nil
	tail := make([]byte, 64<<10)
	from := max(0, l.off-int64(len(tail)))
	if n, _ := l.f.ReadAt(tail[:l.off-from], from); n > 0 {
		_ = l.f.Truncate(from + int64(bytes.LastIndexByte(tail[:n], '\n')+1)) // the row is lost and counted either way
	}
}

// close ends it and waits for run. A disk that hangs is left to itself.
func (l *lateFile) close() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.signal()
	select {
	case <-l.done:
		if err := l.f.Close(); err != nil {
			l.log.Error(l.what+": closing", "cause", err)
		}
	case <-time.After(lateEnd):
		l.log.Error(l.what + ": the disk does not take the rest of it")
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost > 0 {
		l.log.Error(fmt.Sprintf("%s: %d rows lost", l.what, l.lost))
	}
}

package app

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// lateFile is a file of lines that is written behind the back of who writes to it:
// frames do not wait for a disk that is slow, full or hangs. What it does not take waits in
// memory, up to lateMost, and is tried again each second; lines beyond that are
// lost, whole, and counted.
type lateFile struct {
	what string // for people
	name string
	log  *slog.Logger
	done chan struct{} // closed when run has ended

	mu    sync.Mutex
	head  []byte        // guarded by mu, as all below; the first line, with which each file begins
	part  []byte        // a line that has no end yet
	queue []byte        // whole lines
	ended bool          // no more lines come
	lost  uint64        // lines
	wake  chan struct{} // one token

	f    *os.File // owned by run, as all below; with close, once that has ended
	off  int64    // what is in the file
	held []byte   // what is being written
	torn bool     // a line of it is in the file by half
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
	return &lateFile{what: what, name: name, f: f, log: log, done: make(chan struct{}), wake: make(chan struct{}, 1)}, nil
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
	if l.head == nil {
		l.head = append(append([]byte{}, l.part...), b...)
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
		err, n := l.follow(), 0
		if err == nil {
			n, err = l.f.WriteAt(l.held, l.off)
		}
		l.off += int64(n)
		l.torn = n > 0 && l.held[n-1] != '\n' || n == 0 && l.torn
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

// follow goes on in a new file if the one that we write was renamed or removed, and at
// the beginning of one that was emptied: what programs that rotate logs do. A file
// begins with the first line of all, and lines are cut nowhere.
func (l *lateFile) follow() error {
	ours, err := l.f.Stat()
	if err != nil || l.torn || !ours.Mode().IsRegular() {
		return err
	}
	there, err := os.Stat(l.name)
	switch {
	case err == nil && os.SameFile(there, ours):
		if there.Size() >= l.off {
			return nil
		}
		l.off = there.Size()
	case err == nil, errors.Is(err, fs.ErrNotExist):
		f, err := os.OpenFile(l.name, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return err
		}
		if there, err = f.Stat(); err != nil {
			return errors.Join(err, f.Close())
		}
		l.log.Info(l.what + ": goes on in a new file")
		_ = l.f.Close()
		l.f, l.off = f, there.Size()
	default:
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off == 0 && !bytes.HasPrefix(l.held, l.head) {
		l.held = append(slices.Clone(l.head), l.held...)
	}
	return nil
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

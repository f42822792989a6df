// Package records keeps the records of a receiver's cameras across its restarts, in a
// file of JSON lines beside its other state. A record is one small append; nothing
// is synced but the file that takes an old one's place, about once an hour, since an
// SD card wears with each sync. So kill -9 loses no finished record, and power that
// fails what the kernel had not written yet, 30 s by default (dirty_expire_centisecs,
// Documentation/admin-guide/sysctl/vm.rst). The file is bounded, by cameras and by
// records of each, and so is what waits for a disk that takes nothing.
//
// It is not a log of everything: that is --frame-log, --summary, or what /metrics gives.
package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"framepipe/measure"
)

const (
	fileName = "records.jsonl"
	lockName = "records.lock"

	mostWaiting = 1 << 20 // bytes of records that the disk has yet to take
	retry       = 5 * time.Second
	endWait     = 700 * time.Millisecond // what a disk that hangs may keep the program for at its end
)

// Config says what is kept, and where.
type Config struct {
	Dir     string // made if need be, for its owner alone
	Cameras int    // of how many cameras; of more, those that were heard last
	Each    int    // records of each
	Log     *slog.Logger
}

// Book is what is kept. A nil *Book keeps nothing.
type Book struct {
	cfg  Config
	lock *os.File
	done chan struct{} // closed when Run has ended
	wake chan struct{} // one token

	mu      sync.Mutex
	earlier map[string][]*measure.Record // guarded by mu; of cameras that are not met, oldest first
	order   []string                     // guarded by mu; these cameras, the one that was heard last at the end
	queue   []byte                       // guarded by mu; whole lines
	queued  int                          // guarded by mu; how many
	ended   bool                         // guarded by mu; no more records come
	lost    uint64                       // guarded by mu; records that the disk never took

	lines, most int  // in the file, and before it is made smaller; owned by Run, with Open before, as the next
	torn        bool // the file ends within a line
}

// Open reads what was kept. It returns nil, and says so in the log, if another receiver
// keeps its records there. Nothing else is a failure: what cannot be read or written
// costs a warning.
func Open(cfg Config) *Book {
	b := &Book{cfg: cfg, done: make(chan struct{}), wake: make(chan struct{}, 1), earlier: make(map[string][]*measure.Record)}
	b.most = 2 * cfg.Each
	_ = os.MkdirAll(cfg.Dir, 0o700) // the first record tells why not
	lock, err := takeLock(filepath.Join(cfg.Dir, lockName))
	if errors.Is(err, errTaken) {
		cfg.Log.Warn("records are not kept across a restart: another receiver keeps its own there; give this one a --state of its own", "folder", cfg.Dir)
		return nil
	}
	b.lock = lock // without one, on a disk that cannot be written, nothing is written either
	found, err := b.read(false)
	if err != nil {
		cfg.Log.Warn("earlier records cannot be read", "cause", err)
		b.torn = true // by now it is not known how the file ends
	}
	b.lines = found.lines
	for _, e := range found.kept(cfg) {
		b.order = append(slices.DeleteFunc(b.order, func(s string) bool { return s == e.Camera }), e.Camera)
		b.earlier[e.Camera] = append(b.earlier[e.Camera], e.Record)
	}
	if found.bad > 0 {
		cfg.Log.Warn(fmt.Sprintf("%d earlier records were not written to their end and are left out", found.bad), "file", b.name())
	}
	if err == nil && (found.bad > 0 || found.torn || b.lines > b.most) {
		if err := b.shrink(); err != nil {
			cfg.Log.Warn("earlier records cannot be put in order", "cause", err)
			b.torn = found.torn
		}
	}
	return b
}

func (b *Book) name() string { return filepath.Join(b.cfg.Dir, fileName) }

// Earlier hands over the records of a camera's earlier runs, oldest first: it is met
// again, and they are the caller's from now on.
func (b *Book) Earlier(camera string) []*measure.Record {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.earlier[camera]
	delete(b.earlier, camera)
	b.order = slices.DeleteFunc(b.order, func(s string) bool { return s == camera })
	return all
}

// Of lists the records of a camera that is not met yet. They must not be changed.
func (b *Book) Of(camera string) []*measure.Record {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.earlier[camera])
}

// Forgotten takes back the records of a camera that had to make room.
func (b *Book) Forgotten(camera string, all []*measure.Record) {
	if b == nil || len(all) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.order = append(slices.DeleteFunc(b.order, func(s string) bool { return s == camera }), camera)
	b.earlier[camera] = all
	for len(b.order) > b.cfg.Cameras {
		delete(b.earlier, b.order[0])
		b.order = slices.Delete(b.order, 0, 1)
	}
}

// NotKept is how many records the disk did not take, so far.
func (b *Book) NotKept() uint64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Add keeps a record. It returns at once.
func (b *Book) Add(r *measure.Record) {
	if b == nil {
		return
	}
	line, err := json.Marshal(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || len(b.queue)+len(line) >= mostWaiting {
		b.lost++
		return
	}
	b.queue = append(append(b.queue, line...), '\n')
	b.queued++
	b.signal()
}

func (b *Book) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run writes until Close was called and everything is written, or cannot be.
func (b *Book) Run() {
	defer close(b.done)
	var failed error
	for {
		b.mu.Lock()
		batch, ended := b.queue, b.ended
		b.mu.Unlock()
		if len(batch) == 0 {
			if ended {
				return
			}
			<-b.wake
			continue
		}
		n, err := b.write(batch)
		b.mu.Lock()
		b.queued -= bytes.Count(b.queue[:n], []byte{'\n'})
		b.queue = slices.Delete(b.queue, 0, n)
		if err != nil && ended {
			b.lost += uint64(b.queued)
			b.queue, b.queued = nil, 0
		}
		b.mu.Unlock()
		switch {
		case err == nil && failed != nil:
			failed = nil
			b.cfg.Log.Info("records are kept again")
		case err != nil && failed == nil:
			failed = err
			b.cfg.Log.Warn("records are not kept across a restart now; this is tried again", "cause", err)
		}
		if err != nil {
			b.pause()
		}
	}
}

// write appends whole lines and returns how many bytes of them need no second try.
func (b *Book) write(lines []byte) (n int, err error) {
	if b.lines >= b.most { // first, so that the file grows by one write beyond that, even where this fails
		if err := b.shrink(); err != nil {
			return 0, err
		}
	}
	f, err := os.OpenFile(b.name(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(b.cfg.Dir, 0o700); err == nil {
			f, err = os.OpenFile(b.name(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		}
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if b.torn {
		if _, err := f.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		b.torn = false
	}
	n, err = f.Write(lines)
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	b.lines += bytes.Count(lines[:whole], []byte{'\n'})
	if whole < n { // the disk is full: leave no half a line behind
		fi, e := f.Stat()
		b.torn = e != nil || f.Truncate(fi.Size()-int64(n-whole)) != nil
	}
	return whole, err
}

// pause waits for the next try; the end does not wait.
func (b *Book) pause() {
	t := time.NewTimer(retry)
	defer t.Stop()
	for {
		b.mu.Lock()
		ended := b.ended
		b.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-t.C:
			return
		case <-b.wake:
		}
	}
}

// Close ends Run and waits for it. A disk that hangs is left to itself.
func (b *Book) Close() {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.signal()
	select {
	case <-b.done:
		b.lock.Close() // nil is an error, and no matter
	case <-time.After(endWait):
		b.cfg.Log.Error("records: the disk does not take the newest ones")
		return
	}
	if n := b.NotKept(); n > 0 {
		b.cfg.Log.Warn(fmt.Sprintf("%d records were not kept", n))
	}
}

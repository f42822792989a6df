package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"framepipe/measure"
)

const mostLine = 64 << 10 // bytes; a record has 1 to 2 thousand

// entry is a record as it stands in the file, where it is wanted so: a later version may
// have written more than we know.
type entry struct {
	*measure.Record
	line []byte
}

// found is what a file has.
type found struct {
	entries []entry
	lines   int  // of records
	bad     int  // lines that are no record
	torn    bool // the last one has no end
}

// each calls f with every line of the file that can be a record. A longer one, of
// whatever, takes no memory.
func (b *Book) each(f func(line []byte)) (bad int, torn bool, err error) {
	in, err := os.Open(b.name())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	} else if err != nil {
		return 0, false, err
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, mostLine)
	for {
		line, err := r.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			line, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return bad, false, err
		}
		torn = err == io.EOF && len(line) > 0
		line = bytes.TrimSpace(line)
		switch {
		case long || torn:
			bad++
		case len(line) > 0:
			f(line)
		}
		if err == io.EOF {
			return bad, torn, nil
		}
	}
}

// read reads the file, with the lines or without.
func (b *Book) read(lines bool) (all found, err error) {
	bad := 0
	all.bad, all.torn, err = b.each(func(line []byte) {
		r := new(measure.Record)
		if json.Unmarshal(line, r) != nil || r.Camera == "" {
			bad++
			return
		}
		all.lines++
		e := entry{Record: r}
		if lines {
			e.line = bytes.Clone(line)
		}
		if all.entries = append(all.entries, e); len(all.entries) > 4*b.cfg.Cameras*b.cfg.Each { // more than we ever write
			all.entries = all.kept(Config{Cameras: 2 * b.cfg.Cameras, Each: b.cfg.Each})
		}
	})
	all.bad += bad
	return all, err
}

// kept is what of it is to be kept, in its order.
func (all *found) kept(cfg Config) []entry {
	of := make(map[string]int)
	var keep []entry
	for _, e := range slices.Backward(all.entries) {
		if of[e.Camera] >= cfg.Each || of[e.Camera] == 0 && len(of) >= cfg.Cameras {
			continue
		}
		of[e.Camera]++
		keep = append(keep, e)
	}
	slices.Reverse(keep)
	return keep
}

// shrink puts a file in the old one's place that has what is to be kept, and nothing
// else. Until its last step, the old one is as it was.
func (b *Book) shrink() error {
	all, err := b.read(true)
	if err != nil {
		return err
	}
	keep := all.kept(b.cfg)
	name := b.name() + ".new" // one name, so that what a power cut leaves behind is written over
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, e := range keep {
		w.Write(e.line) // Flush tells of what went wrong
		w.WriteByte('\n')
	}
	err = errors.Join(w.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(name, b.name())
	}
	if err != nil {
		os.Remove(name)
		return err
	}
	b.lines, b.torn = len(keep), false
	b.most = max(2*len(keep), 2*b.cfg.Each)
	return nil
}

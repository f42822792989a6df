package result

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"framepipe/measure"
)

// Frame is one row of a frame log, as far as analysis needs it. Unknown delays
// are negative.
type Frame struct {
	Delivered int64 // on the receiver's clock, ns
	Captured  int64 // on the sender's clock, ns; 0 = unknown
	Offset    int64 // sender's clock minus receiver's, ns
	Bytes     int
	Stages    [measure.NumStages]float64 // ms
}

// Frames reads the frames of a visit, record by record: as many slices as the
// folder has rows of this visit, in their order. Nil if there is no frame log.
func (d *Data) Frames(cell string, repeat int) ([][]Frame, error) {
	name := FramesFile(cell, repeat)
	x, err := os.Open(filepath.Join(d.Dir, name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	defer x.Close()
	end := int64(0)
	for _, r := range d.Rows {
		if r.Cell == cell && r.Repeat == repeat {
			end = max(end, r.LogEnd)
		}
	}
	z, err := zstd.NewReader(io.LimitReader(x, end), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return nil, nil
	}
	parse, err := frameParser(lines.Text())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var records [][]Frame
	for _, r := range d.Rows {
		if r.Cell != cell || r.Repeat != repeat || r.LogEnd == 0 {
			continue
		}
		list := make([]Frame, 0, min(r.Frames, 1<<20))
		for range r.Frames {
			if !lines.Scan() {
				return nil, fmt.Errorf("%s: record %d should have %d frames, it has %d", name, r.Number, r.Frames, len(list))
			}
			f, err := parse(lines.Bytes())
			if err != nil {
				return nil, fmt.Errorf("%s: record %d: %w", name, r.Number, err)
			}
			list = append(list, f)
		}
		records = append(records, list)
	}
	return records, lines.Err()
}

// frameParser finds the columns by name, as versions may add some.
func frameParser(header string) (func([]byte) (Frame, error), error) {
	names := strings.Split(header, ",")
	column := func(n string) int { return slices.Index(names, n) }
	delivered, captured, size, offset := column("delivered_r_ns"), column("captured_s_ns"), column("frame_bytes"), column("clock_offset_ns")
	var stages [measure.NumStages]int
	for s := range measure.NumStages {
		stages[s] = column(s.String() + "_ms")
	}
	if delivered < 0 || size < 0 {
		return nil, fmt.Errorf("no columns delivered_r_ns and frame_bytes in %q", header)
	}
	return func(line []byte) (f Frame, err error) {
		values := bytes.Split(line, []byte(","))
		if len(values) != len(names) {
			return f, fmt.Errorf("%d fields instead of %d", len(values), len(names))
		}
		num := func(c int) int64 {
			if c < 0 || len(values[c]) == 0 {
				return 0
			}
			v, e := strconv.ParseInt(string(values[c]), 10, 64)
			err = errors.Join(err, e)
			return v
		}
		f.Delivered, f.Captured, f.Bytes, f.Offset = num(delivered), num(captured), int(num(size)), num(offset)
		for s, c := range stages {
			f.Stages[s] = -1
			if c >= 0 && len(values[c]) > 0 {
				v, e := strconv.ParseFloat(string(values[c]), 64)
				f.Stages[s], err = v, errors.Join(err, e)
			}
		}
		return f, err
	}, nil
}

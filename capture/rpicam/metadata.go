package rpicam

import (
	"bufio"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// record is what we use of one frame's metadata. Zero is unknown.
type record struct {
	sensor   int64 // SensorTimestamp, ns
	exposure int64 // ExposureTime, us
	duration int64 // FrameDuration, us
}

var errBadMetadata = errors.New("metadata record without end")

// maxRecord bounds one record; real ones have one to two kilobytes.
const maxRecord = 64 << 10

// readRecords calls got for each record of --metadata-format txt until r ends or
// got returns false. A record without any known key counts too: it has its frame.
func readRecords(r io.Reader, got func(record) bool) error {
	br := bufio.NewReaderSize(r, 4096)
	var rec record
	lines, size := 0, 0
	for {
		line, err := br.ReadSlice('\n')
		if err == bufio.ErrBufferFull { // a value too long to be one of ours
			for err == bufio.ErrBufferFull && size < maxRecord {
				size += len(line)
				line, err = br.ReadSlice('\n')
			}
			if err == nil {
				lines++
				continue
			}
		}
		if err != nil {
			return err
		}
		if size += len(line); size > maxRecord {
			return errBadMetadata
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text != "" {
			lines++
			rec.set(text)
			continue
		}
		if lines > 0 && !got(rec) {
			return nil
		}
		rec, lines, size = record{}, 0, 0
	}
}

func (r *record) set(line string) {
	k, v, ok := strings.Cut(line, "=")
	if !ok {
		return
	}
	var to *int64
	switch k {
	case "SensorTimestamp":
		to = &r.sensor
	case "ExposureTime":
		to = &r.exposure
	case "FrameDuration":
		to = &r.duration
	default:
		return
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil && n > 0 {
		*to = n
	}
}

// gap is how many frames are missing between two whose readouts began at a and b
// nanoseconds, with frames of the given duration in microseconds.
func gap(a, b, duration int64) uint64 {
	if a <= 0 || b <= a || duration <= 0 {
		return 0
	}
	n := math.Round(float64(b-a)/(float64(duration)*1000)) - 1
	if n < 1 || n > 1e6 { // the latter: a clock that jumped, or a restart
		return 0
	}
	return uint64(n)
}

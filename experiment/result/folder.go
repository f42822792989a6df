package result

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"framepipe/experiment/plan"
	"framepipe/internal/doctor"
	"framepipe/measure"
	"framepipe/wire"
)

// Manifest says by which programs on which machines an experiment was made.
type Manifest struct {
	Format       int             `json:"format"`
	Software     string          `json:"software"`
	ID           string          `json:"id,omitempty"` // under which a receiver keeps it
	Created      time.Time       `json:"created"`
	Name         string          `json:"camera"` // as the receiver knows it
	Local        bool            `json:"local"`  // sender and receiver in one process
	Source       string          `json:"source,omitempty"`
	Link         string          `json:"link,omitempty"` // simulated; "" = the real one
	Host         string          `json:"camera_host,omitempty"`
	CameraSoft   string          `json:"camera_software,omitempty"`
	Camera       json.RawMessage `json:"camera_info,omitempty"` // capture.Info as of the first cell
	CameraSide   json.RawMessage `json:"camera_machine,omitempty"`
	ReceiverSide doctor.Reading  `json:"receiver_machine"`
}

// Visit events.
const (
	Begun  = "begun"
	Done   = "done"
	Broken = "broken" // its records do not count; the visit is made again
	GaveUp = "gave up"
	Paused = "interrupted" // in order, by Ctrl-C; its records count
	Ended  = "ended"       // the whole experiment, by its stop rule
)

// Visit is one line of visits.jsonl.
type Visit struct {
	Time    time.Time       `json:"time"`
	Event   string          `json:"event"`
	Cell    string          `json:"cell,omitempty"`
	Repeat  int             `json:"repeat,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	Cause   string          `json:"cause,omitempty"`
	Asked   *wire.Settings  `json:"asked,omitempty"`
	Got     *wire.StateText `json:"got,omitempty"`     // how the camera answered; its machine before or after the visit
	Differs []string        `json:"differs,omitempty"` // what it does otherwise than asked
	Here    *doctor.Reading `json:"receiver,omitempty"`
	Clock   *float64        `json:"clock_error_ms,omitempty"`
	Late    *float64        `json:"link_late_ms,omitempty"` // worst lateness of the link emulator, spoiled beyond netem.MaxLateness
}

// Data is all that a folder holds, for analysis. Frames are read one visit at a
// time with Frames.
type Data struct {
	Dir      string
	Plan     *plan.Plan
	Manifest Manifest
	Rows     []Row // as they were written
	Visits   []Visit
}

// Read reads a folder.
func Read(dir string) (*Data, error) {
	d := &Data{Dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, PlanFile))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is no result folder: it has no %s", dir, PlanFile)
		}
		return nil, err
	}
	if d.Plan, err = plan.Parse(filepath.Join(dir, PlanFile), b); err != nil {
		return nil, err
	}
	if b, err = os.ReadFile(filepath.Join(dir, ManifestFile)); err == nil {
		if err := json.Unmarshal(b, &d.Manifest); err != nil {
			return nil, fmt.Errorf("%s: %w", ManifestFile, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if d.Manifest.Format > FormatVersion {
		return nil, fmt.Errorf("%s was made by a newer version (%s): its format is %d, this program knows %d", dir, d.Manifest.Software, d.Manifest.Format, FormatVersion)
	}
	b, err = os.ReadFile(filepath.Join(dir, RecordsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if d.Rows, _, err = readRows(b); err != nil {
		return nil, err
	}
	if d.Visits, err = readVisits(dir); err != nil {
		return nil, err
	}
	return d, nil
}

func readVisits(dir string) ([]Visit, error) {
	b, err := os.ReadFile(filepath.Join(dir, VisitsFile))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	var list []Visit
	for i, line := range bytes.Split(b[:bytes.LastIndexByte(b, '\n')+1], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var v Visit
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", VisitsFile, i+1, err)
		}
		list = append(list, v)
	}
	return list, nil
}

type visitKey struct {
	cell            string
	repeat, attempt int
}

// Valid lists the rows that count: those of visits that were not broken off.
func (d *Data) Valid() []Row {
	broken := map[visitKey]bool{}
	for _, v := range d.Visits {
		if v.Event == Broken || v.Event == GaveUp {
			broken[visitKey{v.Cell, v.Repeat, v.Attempt}] = true
		}
	}
	var rows []Row
	for _, r := range d.Rows {
		if !broken[visitKey{r.Cell, r.Repeat, r.Attempt}] {
			rows = append(rows, r)
		}
	}
	return rows
}

// FramesFile is the name of a visit's frame log.
func FramesFile(cell string, repeat int) string {
	return fmt.Sprintf("frames-%s-%d.csv.zst", cell, repeat)
}

// Folder is a result folder that is being written. It is used by one goroutine.
type Folder struct {
	Data
	records *os.File
	visits  *os.File
	enc     *zstd.Encoder
	ends    map[string]int64 // of frame logs, by file name, as the rows say
}

// Create makes a new folder. It may exist, but not hold an experiment.
func Create(dir string, p *plan.Plan) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("cannot make the result folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, PlanFile)); err == nil {
		return nil, fmt.Errorf("%s holds an experiment already: %w", dir, fs.ErrExist)
	}
	text, err := p.YAML()
	if err != nil {
		return nil, err
	}
	var first bytes.Buffer
	w := csv.NewWriter(&first)
	_ = w.Write(header()) // into memory
	w.Flush()
	// The plan is last: without it the folder holds nothing.
	for _, f := range []struct {
		name string
		data []byte
	}{{RecordsFile, first.Bytes()}, {VisitsFile, nil}, {PlanFile, text}} {
		if err := WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return nil, fmt.Errorf("cannot write the result folder: %w", err)
		}
	}
	return Open(dir)
}

// Open opens a folder to go on: whatever was cut off is cut away.
func Open(dir string) (*Folder, error) {
	d, err := Read(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Data: *d, ends: make(map[string]int64)}
	for _, r := range f.Rows {
		if r.LogEnd > 0 {
			f.ends[FramesFile(r.Cell, r.Repeat)] = r.LogEnd
		}
	}
	if err := f.repair(); err != nil {
		return nil, err
	}
	if f.records, err = os.OpenFile(filepath.Join(dir, RecordsFile), os.O_WRONLY|os.O_APPEND, 0o666); err == nil {
		if f.visits, err = os.OpenFile(filepath.Join(dir, VisitsFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666); err == nil {
			f.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// repair cuts what no row vouches for off the ends of the files.
func (f *Folder) repair() error {
	records := filepath.Join(f.Dir, RecordsFile)
	b, err := os.ReadFile(records)
	if err != nil {
		return err
	}
	_, whole, err := readRows(b)
	if err != nil {
		return err
	}
	if whole < int64(len(b)) {
		if err := os.Truncate(records, whole); err != nil {
			return err
		}
	}
	visits := filepath.Join(f.Dir, VisitsFile)
	if b, err = os.ReadFile(visits); err == nil {
		if whole := bytes.LastIndexByte(b, '\n') + 1; whole < len(b) {
			if err := os.Truncate(visits, int64(whole)); err != nil {
				return err
			}
		}
	}
	logs, err := filepath.Glob(filepath.Join(globEscape(f.Dir), "frames-*.csv.zst"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		fi, err := os.Stat(name)
		if err != nil {
			return err
		}
		end := f.ends[filepath.Base(name)]
		if fi.Size() < end {
			return fmt.Errorf("%s is shorter than its records say: %d bytes instead of %d", name, fi.Size(), end)
		}
		if fi.Size() > end {
			if err := os.Truncate(name, end); err != nil {
				return err
			}
		}
	}
	return nil
}

func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// Close closes the files.
func (f *Folder) Close() error {
	var errs []error
	for _, x := range []*os.File{f.records, f.visits} {
		if x != nil {
			errs = append(errs, x.Close())
		}
	}
	return errors.Join(errs...)
}

// Discard removes a folder in which nothing was measured and closes it, so that the
// same experiment can begin anew once the cause is mended. It reports whether it
// did.
func (f *Folder) Discard() bool {
	if len(f.Rows) > 0 || len(f.Visits) > 0 {
		return false
	}
	f.Close()
	for _, name := range []string{PlanFile, ManifestFile, RecordsFile, VisitsFile} {
		os.Remove(filepath.Join(f.Dir, name))
	}
	os.Remove(f.Dir) // only if it is empty
	return true
}

// SetManifest writes the manifest.
func (f *Folder) SetManifest(m Manifest) error {
	m.Format = FormatVersion
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f.Manifest = m
	return WriteFile(filepath.Join(f.Dir, ManifestFile), append(b, '\n'))
}

// Append adds a record with the rows of its frames (as measure.FrameLog writes
// them, without a header). When it returns, both are on the disk.
func (f *Folder) Append(r Row, frames []byte) error {
	name := FramesFile(r.Cell, r.Repeat)
	end := f.ends[name]
	if end == 0 {
		frames = append([]byte(measure.FrameLogHeader+"\n"), frames...)
	}
	packed := f.enc.EncodeAll(frames, nil)
	if err := appendAt(filepath.Join(f.Dir, name), end, packed); err != nil {
		return fmt.Errorf("cannot write the frame log: %w", err)
	}
	r.LogEnd = end + int64(len(packed))
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(r.line()); err != nil {
		return err
	}
	w.Flush()
	if err := f.extend(f.records, b.Bytes()); err != nil {
		return fmt.Errorf("cannot write the records: %w", err)
	}
	f.ends[name] = r.LogEnd
	f.Rows = append(f.Rows, r)
	return nil
}

// AddVisit adds a line to visits.jsonl.
func (f *Folder) AddVisit(v Visit) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := f.extend(f.visits, append(b, '\n')); err != nil {
		return fmt.Errorf("cannot write the visits: %w", err)
	}
	f.Visits = append(f.Visits, v)
	return nil
}

// extend appends and syncs; a write that failed in the middle is taken back, so
// that the file stays well-formed on a full disk.
func (f *Folder) extend(to *os.File, b []byte) error {
	fi, err := to.Stat()
	if err != nil {
		return err
	}
	if _, err = to.Write(b); err == nil {
		err = to.Sync()
	}
	if err != nil {
		err = errors.Join(err, to.Truncate(fi.Size()))
	}
	return err
}

// appendAt writes b at an offset, beyond which the file is cut off.
func appendAt(name string, at int64, b []byte) error {
	x, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := x.Truncate(at); err != nil {
		return err
	}
	if _, err := x.WriteAt(b, at); err != nil {
		return err
	}
	if err := x.Sync(); err != nil {
		return err
	}
	return x.Close()
}

// WriteFile writes a file as a whole or not at all.
func WriteFile(name string, b []byte) error {
	tmp := name + ".tmp"
	err := os.WriteFile(tmp, b, 0o666)
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/at-wat/ebml-go"

	"framepipe/capture/replay/stamps"
)

// Matroska (RFC 9559). Times are in microseconds, which is what cameras stamp with;
// then a cluster can hold no more than 32.8 ms, and ours hold one frame each: what
// is complete is whole, however the program ends. Head and foot of a cluster have
// constant lengths, so that a frame is written by one system call from one buffer.
const (
	timescale   = 1000 // ns
	headLen     = 44
	footLen     = 10 + stamps.Size
	stampsID    = 2
	unknownSize = 1<<56 - 1
	voidLen     = 64 // room for the SeekHead, which is known at the end
	seekEvery   = time.Second
)

var (
	clusterID = [4]byte{0x1f, 0x43, 0xb6, 0x75}
	cuesID    = [4]byte{0x1c, 0x53, 0xbb, 0x6b}
)

// file is what a recording is written to. An *os.File is one.
type file interface {
	io.WriterAt
	Truncate(size int64) error
	Close() error
}

// movie is one Matroska file being written. Whatever fails, what was written before
// stays whole.
type movie struct {
	f        file
	end      int64 // of the last complete element
	body     int64 // where the segment's contents begin
	duration int64 // where the duration's eight bytes are
	last     time.Duration
	frames   int
	cues     []cue
	torn     bool // bytes of a write that failed may lie behind end
}

type cue struct {
	at  time.Duration
	pos int64
}

type simpleTag struct {
	Name   string `ebml:"TagName"`
	String string `ebml:"TagString"`
}

type info struct {
	TimecodeScale uint64
	Duration      float64
	DateUTC       time.Time `ebml:"DateUTC"`
	Title         string
	MuxingApp     string
	WritingApp    string
}

type video struct {
	PixelWidth, PixelHeight uint64
}

type mapping struct {
	BlockAddIDValue uint64
	BlockAddIDName  string
	BlockAddIDType  uint64
}

type track struct {
	TrackNumber          uint64
	TrackUID             uint64
	TrackType            uint64
	FlagLacing           uint64
	MaxBlockAdditionID   uint64
	CodecID              string
	Name                 string
	Video                video
	BlockAdditionMapping mapping
}

// begin writes a file's head. Tags are name and value in turn.
func begin(f file, camera string, width, height int, wall time.Time, software string, tags ...string) (*movie, error) {
	var h struct {
		Header struct {
			EBMLVersion        uint64
			EBMLReadVersion    uint64
			EBMLMaxIDLength    uint64
			EBMLMaxSizeLength  uint64
			DocType            string `ebml:"EBMLDocType"`
			DocTypeVersion     uint64 `ebml:"EBMLDocTypeVersion"`
			DocTypeReadVersion uint64 `ebml:"EBMLDocTypeReadVersion"`
		} `ebml:"EBML"`
		Segment struct {
			Void   []byte
			Info   info
			Tracks struct {
				TrackEntry track
			}
			Tags struct {
				Tag struct {
					Targets   struct{}
					SimpleTag []simpleTag
				}
			}
		} `ebml:"Segment,size=unknown"`
	}
	e := &h.Header
	e.EBMLVersion, e.EBMLReadVersion, e.EBMLMaxIDLength, e.EBMLMaxSizeLength = 1, 1, 4, 8
	e.DocType, e.DocTypeVersion, e.DocTypeReadVersion = "matroska", 4, 2
	s := &h.Segment
	s.Void = make([]byte, voidLen-2)
	s.Info = info{TimecodeScale: timescale, Duration: math.SmallestNonzeroFloat64, DateUTC: wall, Title: camera, MuxingApp: "ebml-go", WritingApp: software}
	s.Tracks.TrackEntry = track{TrackNumber: 1, TrackUID: 1, TrackType: 1, MaxBlockAdditionID: stampsID, CodecID: "V_MJPEG", Name: camera,
		Video: video{uint64(width), uint64(height)}, BlockAdditionMapping: mapping{stampsID, "framepipe stamps", 1}}
	for i := 0; i+1 < len(tags); i += 2 {
		if tags[i+1] != "" {
			s.Tags.Tag.SimpleTag = append(s.Tags.Tag.SimpleTag, simpleTag{tags[i], tags[i+1]})
		}
	}
	var b bytes.Buffer
	if err := ebml.Marshal(&h, &b); err != nil {
		return nil, fmt.Errorf("the file's head: %w", err)
	}
	segment := bytes.Index(b.Bytes(), []byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	duration := bytes.Index(b.Bytes(), []byte{0x44, 0x89, 0x88})
	if segment < 0 || duration < 0 {
		return nil, errors.New("the file's head is not as expected")
	}
	m := &movie{f: f, end: int64(b.Len()), body: int64(segment + 12), duration: int64(duration + 3)}
	if _, err := f.WriteAt(b.Bytes(), 0); err != nil {
		return nil, err
	}
	return m, nil
}

// frame writes a cluster: data[headLen:len-footLen] is the picture, and head and
// foot are filled in here.
func (m *movie) frame(data []byte, at time.Duration, s *stamps.Stamps) error {
	if m.torn {
		if err := m.f.Truncate(m.end); err != nil {
			return err
		}
		m.torn = false
	}
	picture := len(data) - headLen - footLen
	block := 4 + picture
	group := 9 + block + footLen
	h := append(data[:0], clusterID[:]...)
	h = appendSize(h, 10+9+group)
	h = append(h, 0xe7, 0x88)
	h = binary.BigEndian.AppendUint64(h, uint64(at/timescale))
	h = append(h, 0xa0)
	h = appendSize(h, group)
	h = append(h, 0xa1)
	h = appendSize(h, block)
	h = append(h, 0x81, 0, 0, 0) // track 1, at the cluster's time; without a reference it is a key frame
	if len(h) != headLen {
		panic("record: a cluster's head has another length")
	}
	foot := append(data[:headLen+picture], 0x75, 0xa1, 0x80|(stamps.Size+7), 0xa6, 0x80|(stamps.Size+5), 0xee, 0x81, stampsID, 0xa5, 0x80|stamps.Size)
	stamps.Append(foot, s)
	if _, err := m.f.WriteAt(data, m.end); err != nil {
		m.torn = true
		return err
	}
	if n := len(m.cues); n == 0 || at-m.cues[n-1].at >= seekEvery {
		m.cues = append(m.cues, cue{at, m.end - m.body})
	}
	m.end += int64(len(data))
	m.last = at
	m.frames++
	return nil
}

func appendSize(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint64(b, 1<<56|uint64(n))
}

// finish adds what makes seeking quick, and closes the file. A file that was not
// finished is as good otherwise.
func (m *movie) finish() error {
	err := m.index()
	if m.torn {
		err = errors.Join(err, m.f.Truncate(m.end))
	}
	return errors.Join(err, m.f.Close())
}

func (m *movie) index() error {
	type positions struct {
		CueTrack, CueClusterPosition uint64
	}
	type point struct {
		CueTime           uint64
		CueTrackPositions positions
	}
	var tail struct {
		Cues struct {
			CuePoint []point
		}
	}
	for _, c := range m.cues {
		tail.Cues.CuePoint = append(tail.Cues.CuePoint, point{uint64(c.at / timescale), positions{1, uint64(c.pos)}})
	}
	if len(m.cues) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := ebml.Marshal(&tail, &b); err != nil {
		return err
	}
	m.torn = true
	if _, err := m.f.WriteAt(b.Bytes(), m.end); err != nil {
		return err
	}
	at := m.end
	m.end += int64(b.Len())
	m.torn = false
	// One element each, so that a program that dies between them leaves a file whose
	// every state is valid.
	var seek struct {
		SeekHead struct {
			Seek struct {
				SeekID       []byte
				SeekPosition uint64 `ebml:"SeekPosition,size=8"`
			}
		}
	}
	seek.SeekHead.Seek.SeekID, seek.SeekHead.Seek.SeekPosition = cuesID[:], uint64(at-m.body)
	b.Reset()
	if err := ebml.Marshal(&seek, &b); err != nil {
		return err
	}
	rest := voidLen - b.Len()
	if rest < 2 {
		return errors.New("no room for the SeekHead")
	}
	b.Write([]byte{0xec, 0x80 | byte(rest-2)})
	_, err := m.f.WriteAt(b.Bytes(), m.body)
	_, err2 := m.f.WriteAt(binary.BigEndian.AppendUint64(nil, math.Float64bits(float64(m.last/timescale))), m.duration)
	_, err3 := m.f.WriteAt(binary.BigEndian.AppendUint64(nil, 1<<56|uint64(m.end-m.body)), m.body-8)
	return errors.Join(err, err2, err3)
}

// create makes a new file called path or, where there is one already, path with a
// number in it: no recording is ever written over.
func create(path string) (*os.File, error) {
	ext := filepath.Ext(path)
	for i := 1; ; i++ {
		name := path
		if i > 1 {
			name = fmt.Sprintf("%s-%04d%s", strings.TrimSuffix(path, ext), i, ext)
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
		if !errors.Is(err, os.ErrExist) || i >= 1_000_000 {
			return f, err
		}
	}
}

// removeEmpty takes away a file that could not even be begun.
func removeEmpty(name string) {
	if st, err := os.Stat(name); name != "" && err == nil && st.Size() == 0 {
		_ = os.Remove(name)
	}
}

package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/pattern"
	"framepipe/capture/replay"
	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/stream"
)

// rig is a camera of this process whose frames the test puts in itself.
type rig struct {
	*testing.T
	local *stream.Local
	feed  *stream.Feed
	jpegs [][]byte
	n     int
	base  frame.SenderTime
}

func newRig(t *testing.T) *rig {
	t.Helper()
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	local, feed, err := recv.Local("door")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, local: local, feed: feed, base: frame.SenderNow()}
	r.jpegs = pictures(t, 160, 120, 8)
	return r
}

func pictures(t *testing.T, w, h, n int) (all [][]byte) {
	t.Helper()
	cam, err := pattern.Open(t.Context(), "pattern", capture.Config{Width: w, Height: h, FPS: 200, Format: frame.I420})
	if err != nil {
		t.Fatal(err)
	}
	defer cam.Close()
	enc := mjpeg.NewEncoder()
	for range n {
		f, err := cam.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := enc.Encode(nil, f, 85)
		f.Release()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// put delivers a frame that was captured at this time after the beginning.
func (r *rig) put(at time.Duration) {
	f := frame.New(r.jpegs[r.n%len(r.jpegs)], nil)
	r.n++
	f.Seq, f.Format = uint64(r.n), frame.JPEG
	f.Counts.Offered = f.Seq
	f.Captured, f.StampKind = r.base+frame.SenderTime(at), frame.StampTick
	f.Dequeued, f.Encoded = f.Captured+1, f.Captured+2
	r.local.Put(f)
}

// putAll delivers frames so slowly that each is taken.
func (r *rig) putAll(rec *Recording, times []time.Duration) {
	r.Helper()
	for _, at := range times {
		before := rec.Status()
		r.put(at)
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Microsecond) {
			s := rec.Status()
			if s.Frames+s.Lost.Total() > before.Frames+before.Lost.Total() {
				break
			}
			if time.Now().After(end) {
				r.Fatalf("frame at %v is not recorded: %+v", at, s)
			}
		}
	}
}

func times(n int, gap func(int) time.Duration) (out []time.Duration) {
	var t time.Duration
	for i := range n {
		out = append(out, t)
		t += gap(i)
	}
	return out
}

// uneven times, with nanoseconds, as cameras have them.
func uneven(n int) []time.Duration {
	return times(n, func(i int) time.Duration { return time.Duration(33_333_333 + (i*7919)%5_000_001 - 2_500_000) })
}

func (r *rig) record(opt Options) *Recording {
	r.Helper()
	if opt.Path == "" {
		opt.Path = filepath.Join(r.TempDir(), "door.mkv")
	}
	rec, err := Start(r.feed, opt)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { rec.Stop(context.Background()) })
	return rec
}

// played reads a recording back with our own player.
func played(t *testing.T, path string) (data [][]byte) {
	t.Helper()
	cam, err := replay.Open(t.Context(), "replay:"+path+"?rate=1000x", capture.Config{Mode: capture.Continuous})
	if err != nil {
		t.Fatal(err)
	}
	defer cam.Close()
	for {
		f, err := cam.Next(t.Context())
		if err == io.EOF {
			return data
		}
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, bytes.Clone(f.Data))
		f.Release()
	}
}

type probed struct {
	Packets []struct {
		PTS  int64  `json:"pts"`
		Time string `json:"pts_time"`
		Size string `json:"size"`
	} `json:"packets"`
	Streams []struct {
		Codec  string `json:"codec_name"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Base   string `json:"time_base"`
		Frames string `json:"nb_read_frames"`
	} `json:"streams"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

func ffprobe(t *testing.T, path string) (p probed) {
	t.Helper()
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("needs ffprobe (apt-get install ffmpeg)")
	}
	cmd := exec.Command("ffprobe", "-v", "error", "-show_packets", "-show_streams", "-show_format", "-count_frames", "-of", "json", path)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("ffprobe: %v %s", err, &complaints)
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// ffprobe reads exactly the times that the camera gave, to the microsecond, and our
// own player the same pictures.
func TestTimesAreExact(t *testing.T) {
	r := newRig(t)
	want := uneven(100)
	rec := r.record(Options{Software: "framepipe test"})
	r.putAll(rec, want)
	st, err := rec.Stop(t.Context())
	if err != nil || st.Frames != 100 || st.Lost.Total() != 0 || st.Recording || st.Files != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	if info, err := os.Stat(st.File); err != nil || info.Size() < st.Bytes {
		t.Errorf("file of %v bytes, said %d", info.Size(), st.Bytes)
	}
	data := played(t, st.File)
	if len(data) != len(want) {
		t.Fatalf("%d frames played, want %d", len(data), len(want))
	}
	for i, b := range data {
		if !bytes.Equal(b, r.jpegs[i%len(r.jpegs)]) {
			t.Fatalf("frame %d is another picture", i)
		}
	}
	p := ffprobe(t, st.File)
	if len(p.Streams) != 1 || p.Streams[0].Codec != "mjpeg" || p.Streams[0].Width != 160 || p.Streams[0].Height != 120 || p.Streams[0].Base != "1/1000000" || p.Streams[0].Frames != "100" {
		t.Errorf("%+v", p.Streams)
	}
	if p.Format.Tags["CAMERA"] != "door" || p.Format.Tags["STAMP_KIND"] != "tick" || p.Format.Tags["title"] != "door" {
		t.Errorf("tags %v", p.Format.Tags)
	}
	if d, _ := strconv.ParseFloat(p.Format.Duration, 64); math.Abs(d-want[99].Seconds()) > 0.1 {
		t.Errorf("duration %s, want %v", p.Format.Duration, want[99])
	}
	for i, pk := range p.Packets {
		if us := want[i].Round(time.Microsecond).Microseconds(); pk.PTS != us {
			t.Errorf("frame %d at %d us, want %d", i, pk.PTS, us)
		}
	}
}

// What a file looks like when its program was killed: cut anywhere, every frame that
// is complete is there.
func TestCutAnywhere(t *testing.T) {
	r := newRig(t)
	rec := r.record(Options{})
	r.putAll(rec, uneven(20))
	st := rec.Status()
	whole, err := os.ReadFile(st.File)
	if err != nil {
		t.Fatal(err)
	}
	header := len(whole)
	for i := range 20 {
		header -= headLen + footLen + len(r.jpegs[i%len(r.jpegs)])
	}
	path := filepath.Join(t.TempDir(), "cut.mkv")
	for cut := header + 1; cut <= len(whole); cut += 977 {
		complete, rest := 0, cut-header
		for i := range 20 {
			if rest -= headLen + footLen + len(r.jpegs[i%len(r.jpegs)]); rest < 0 {
				break
			}
			complete++
		}
		if err := os.WriteFile(path, whole[:cut], 0o666); err != nil {
			t.Fatal(err)
		}
		if complete == 0 {
			continue
		}
		data := played(t, path)
		if len(data) < complete {
			t.Fatalf("cut at %d of %d, %d of %d complete frames are there", cut, len(whole), len(data), complete)
		}
	}
}

func TestNewFiles(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	rec := r.record(Options{Path: filepath.Join(dir, "a.mkv"), MaxSize: int64(5 * (headLen + footLen + len(r.jpegs[0])))})
	r.putAll(rec, uneven(12))
	r.jpegs = pictures(t, 96, 64, 4) // another size
	r.n = 12
	r.putAll(rec, uneven(16)[12:])
	st, err := rec.Stop(t.Context())
	if err != nil || st.Files < 4 || st.Frames != 16 {
		t.Fatalf("%+v, %v", st, err)
	}
	frames := 0
	files, _ := filepath.Glob(filepath.Join(dir, "*.mkv"))
	for _, f := range files {
		data := played(t, f)
		frames += len(data)
		if info, _ := os.Stat(f); info.Size() > 7*int64(headLen+footLen+len(r.jpegs[0]))+20_000 {
			t.Errorf("%s has %d bytes", f, info.Size())
		}
	}
	if frames != 16 || len(files) != st.Files {
		t.Errorf("%d frames in %v, want 16 in %d files", frames, files, st.Files)
	}
	// A second recording of the same name writes nothing over.
	again := r.record(Options{Path: filepath.Join(dir, "a.mkv")})
	r.putAll(again, []time.Duration{time.Hour})
	if s := again.Status(); s.File == filepath.Join(dir, "a.mkv") || filepath.Dir(s.File) != dir {
		t.Errorf("it records to %s", s.File)
	}
}

func TestTimelapse(t *testing.T) {
	r := newRig(t)
	rec := r.record(Options{Every: 150 * time.Millisecond})
	for range 50 {
		r.put(time.Duration(r.n) * 10 * time.Millisecond)
		time.Sleep(10 * time.Millisecond)
	}
	st, err := rec.Stop(t.Context())
	if err != nil || st.Frames < 2 || st.Frames > 30 || st.Lost.Total() != 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	for i, pk := range ffprobe(t, st.File).Packets {
		if pk.PTS != int64(i)*40_000 {
			t.Errorf("frame %d at %d us, want %d: a timelapse plays at 25 fps", i, pk.PTS, i*40_000)
		}
	}
}

// slowFile stands for a disk: it blocks while told to, and fails while told to.
type slowFile struct {
	*os.File
	mu   sync.Mutex
	fail func(off int64, n int) (int, error)
	gate chan struct{}
}

func (f *slowFile) WriteAt(b []byte, off int64) (int, error) {
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		if n, err := fail(off, len(b)); err != nil {
			f.File.WriteAt(b[:n], off)
			return n, err
		}
	}
	return f.File.WriteAt(b, off)
}

func (f *slowFile) open(path string) (file, string, error) {
	o, err := create(path)
	f.File = o
	return f, path, err
}

// A disk that hangs loses frames to the recording, counted, and to nobody else:
// putting frames in never waits, and a viewer gets each of them.
func TestSlowDisk(t *testing.T) {
	r := newRig(t)
	disk := &slowFile{gate: make(chan struct{})}
	rec := r.record(Options{open: disk.open})
	viewer := r.feed.Hub.Subscribe()
	defer viewer.Close()
	const n = queueFrames + 100
	for i := range n {
		before := rec.Status()
		r.put(time.Duration(i) * time.Millisecond)
		f, err := viewer.Next(t.Context())
		if err != nil || f.Seq != uint64(i+1) {
			t.Fatalf("the viewer got %v, %v", f, err)
		}
		f.Release()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Microsecond) { // until it is taken
			if now := rec.Status(); now.Waiting != before.Waiting || now.Lost.Slow != before.Lost.Slow {
				break
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := rec.Stop(ctx); err == nil {
		t.Error("a recording on a disk that hangs was ended in order")
	}
	close(disk.gate)
	st, err := rec.Stop(t.Context())
	if err != nil || st.Lost.Slow == 0 || st.Frames+st.Lost.Slow+st.Lost.Busy != n {
		t.Fatalf("%+v, %v", st, err)
	}
	if data := played(t, st.File); uint64(len(data)) != st.Frames {
		t.Errorf("%d frames in the file, want %d", len(data), st.Frames)
	}
}

// A write that fails half-way leaves no half frame, and recording goes on when there
// is room again.
func TestDiskErrorAndRecovery(t *testing.T) {
	r := newRig(t)
	disk := &slowFile{}
	rec := r.record(Options{open: disk.open})
	at := uneven(30)
	r.putAll(rec, at[:10])
	disk.mu.Lock()
	disk.fail = func(_ int64, n int) (int, error) { return n / 2, syscall.ENOSPC }
	disk.mu.Unlock()
	r.putAll(rec, at[10:20])
	if st := rec.Status(); st.Lost.Full != 10 || st.Error != "the disk is full" {
		t.Fatalf("%+v", st)
	}
	disk.mu.Lock()
	disk.fail = nil
	disk.mu.Unlock()
	time.Sleep(retryEvery)
	r.putAll(rec, at[20:])
	st, err := rec.Stop(t.Context())
	if err != nil || st.Frames != 20 || st.Lost.Full != 10 || st.Error != "" {
		t.Fatalf("%+v, %v", st, err)
	}
	p := ffprobe(t, st.File)
	if len(p.Packets) != 20 || p.Packets[10].PTS != at[20].Round(time.Microsecond).Microseconds() {
		t.Errorf("%d packets; the first one afterwards at %d, want %v", len(p.Packets), p.Packets[10].PTS, at[20])
	}
}

func TestBadPaths(t *testing.T) {
	r := newRig(t)
	if _, err := Start(r.feed, Options{Path: filepath.Join(t.TempDir(), "none", "a.mkv")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
	var m Manager
	if _, err := m.Start(r.feed, 0); !errors.Is(err, ErrNoDir) {
		t.Errorf("no folder: %v", err)
	}
}

//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"framepipe/capture"
	"framepipe/capture/replay"
	"framepipe/frame"
)

// stopWithin is how soon a program has to end after SIGTERM: issue and README say
// one second; the rest is for a busy machine.
const stopWithin = 4 * time.Second

// account ends both sides in order and holds against each other what they say, and
// what they wrote, of every frame.
func (t *trial) account() error {
	took, err := t.send.stop(stopWithin)
	if err != nil {
		return err
	}
	var s live
	// The receiver has read the goodbye when it says that the camera is gone.
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if s, err = t.state(); err == nil && !s.Connected {
			break
		}
		if time.Since(began) > patience {
			return fmt.Errorf("the receiver does not notice the sender's end: %w", err)
		}
	}
	took2, err := t.recv.stop(stopWithin)
	if err != nil && !(t.fault.disk && strings.Contains(lastLine(t.recv.stderr()), "error: ")) { // a recording whose disk is gone is a failure
		return fmt.Errorf("%w: %s", err, lastLine(t.recv.stderr()))
	}
	t.result.Stop = max(took, took2)
	sent, err := senderAccount(t.send.stderr())
	if err != nil {
		return err
	}
	l := s.Live
	t.result.Offered, t.result.Lost = sent.offered, map[string]uint64{}
	for c, n := range sent.lost {
		t.result.Lost[c] += n
	}
	for _, c := range []string{"connection", "receiver"} {
		t.result.Lost[c] += l.Lost[c]
	}
	silent := func(what string, a, b uint64) {
		if a != b {
			t.failf("%s: %d and %d", what, a, b)
			t.result.Silent += max(a, b) - min(a, b)
		}
	}
	if l.Imbalance != 0 || sent.imbalance {
		t.failf("the ledger is out of balance by %d; the sender says: %s", l.Imbalance, lastLine(t.send.stderr()))
		t.result.Silent += uint64(max(l.Imbalance, -l.Imbalance, 1))
	}
	// The second sender's losses are all that one receiver knows, beside the first's.
	if len(t.sent) == 1 && len(t.recvs) == 1 {
		silent("frames that the sender gave to connections, and the receiver's delivered and lost ones", sent.sent, l.Delivered+l.Lost["connection"]+l.Lost["receiver"])
		for c := range frame.SenderCauses {
			// What was lost before the two met, the receiver knows the sum of only.
			if name := c.String(); sent.lost[name] < l.Lost[name] || sent.lost[name] > l.Lost[name]+l.Before {
				silent(name+" at the sender and in the receiver's ledger", sent.lost[name], l.Lost[name])
			}
		}
		silent("offered at the sender, and in the receiver's ledger with what was before it", sent.offered, l.Offered+l.Before)
	}
	if err := t.written(len(t.recvs)-1, l.Delivered); err != nil {
		return err
	}
	for i := range t.recvs[:len(t.recvs)-1] { // what those that were killed left behind
		if err := t.survives(i); err != nil {
			return err
		}
	}
	return nil
}

type account struct {
	offered, sent uint64
	lost          map[string]uint64
	imbalance     bool
}

var (
	gave  = regexp.MustCompile(`the camera gave (\d+) frames: (\d+) sent(?: \(\d+ confirmed by the receiver\))?, (\d+) lost(?: \(([^)]*)\))?(.*)`)
	cause = regexp.MustCompile(`^(.*) (\d+)$`)
)

// senderAccount reads a sender's last words.
func senderAccount(text string) (a account, err error) {
	m := gave.FindStringSubmatch(text)
	if m == nil {
		return a, errors.New("the sender does not say how it went: " + lastLine(text))
	}
	a.lost = map[string]uint64{}
	a.offered, _ = strconv.ParseUint(m[1], 10, 64)
	a.sent, _ = strconv.ParseUint(m[2], 10, 64)
	for _, part := range strings.Split(m[4], ", ") {
		if c := cause.FindStringSubmatch(part); c != nil {
			a.lost[strings.ReplaceAll(c[1], " ", "_")], _ = strconv.ParseUint(c[2], 10, 64)
		}
	}
	var lost uint64
	for _, n := range a.lost {
		lost += n
	}
	a.imbalance = strings.Contains(m[5], "UNACCOUNTED") || a.offered != a.sent+lost
	return a, nil
}

// written checks what a receiver that ended in order wrote: records, frame log and
// recording tell of the same frames.
func (t *trial) written(n int, delivered uint64) error {
	r := t.recvs[n]
	var sum uint64
	for in := bufio.NewScanner(strings.NewReader(r.stdout())); in.Scan(); {
		var rec struct {
			Frames    uint64 `json:"frames"`
			Imbalance int64  `json:"imbalance"`
		}
		if err := json.Unmarshal(in.Bytes(), &rec); err != nil {
			return fmt.Errorf("a record is not whole: %w: %s", err, in.Text())
		}
		if rec.Imbalance != 0 {
			t.failf("a record is out of balance by %d", rec.Imbalance)
		}
		sum += rec.Frames
	}
	if sum != delivered {
		t.failf("%d frames in the records, %d delivered", sum, delivered)
		t.result.Silent += max(sum, delivered) - min(sum, delivered)
	}
	if t.longRun {
		return nil
	}
	if err := t.keeps(); err != nil {
		return err
	}
	rows, err := frameLog(t.file("frames-%d.csv", n))
	if err != nil {
		return err
	}
	missing, told := t.toldLost(r, `(\d+) rows lost`)
	if uint64(rows)+missing != delivered {
		t.failf("%d rows in the frame log, %d told as lost, %d frames delivered", rows, missing, delivered)
	}
	frames, err := t.recorded(n)
	if err != nil {
		return err
	}
	lost, toldRec := t.toldLost(r, `(\d+) lost to the recording`)
	if missing+lost > 0 {
		t.note("told as lost to the frame log %d, to the recording %d", missing, lost)
	}
	if uint64(frames)+lost < delivered-min(delivered, 1) || uint64(frames) > delivered { // the first frame may come before the recording has begun
		t.failf("%d frames recorded, %d told as lost to the recording, %d delivered", frames, lost, delivered)
	}
	if !t.fault.disk && (told || toldRec && strings.Contains(r.stderr(), "(disk")) {
		t.failf("the disk was in order, and yet: %s", r.stderr())
	}
	return nil
}

// toldLost adds up what a process says that it could not write.
func (t *trial) toldLost(p *process, pattern string) (n uint64, told bool) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(p.stderr(), -1) {
		v, _ := strconv.ParseUint(m[1], 10, 64)
		n, told = max(n, v), true // the last line is the sum
	}
	return n, told
}

// survives checks what a receiver that was killed left: whole rows, and a recording
// that can be read to its end.
func (t *trial) survives(n int) error {
	if _, err := frameLog(t.file("frames-%d.csv", n)); err != nil && !errors.Is(err, os.ErrNotExist) { // it may have been killed before it began
		return err
	}
	_, err := t.recorded(n)
	return err
}

func (t *trial) file(pattern string, n int) string { return t.disk + "/" + fmt.Sprintf(pattern, n) }

// frameLog counts a frame log's rows; frames must not stand in it twice. The last
// row of one that was being written may be cut off.
func frameLog(name string) (rows int, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	text := string(b)
	in := csv.NewReader(strings.NewReader(text[:strings.LastIndexByte(text, '\n')+1]))
	last, offered := 0, 0
	for {
		row, err := in.Read()
		if err == io.EOF {
			return max(rows-1, 0), nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if rows++; rows == 1 {
			continue
		}
		seq, err := strconv.Atoi(row[1])
		if err != nil {
			return 0, fmt.Errorf("%s, row %d: %w", name, rows, err)
		}
		now, _ := strconv.Atoi(row[22])
		if seq <= last && now > offered { // a new session begins again, with smaller counts
			return 0, fmt.Errorf("%s, row %d: frame %d comes after frame %d", name, rows, seq, last)
		}
		last, offered = seq, now
	}
}

// recorded counts the frames of a receiver's recordings, which must all be
// readable, by us and by ffmpeg.
func (t *trial) recorded(n int) (frames int, err error) {
	names, err := filepath.Glob(t.file("video-%d*.mkv", n))
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		got, err := readBack(name)
		if err != nil {
			return frames, fmt.Errorf("%s: %w", name, err)
		}
		frames += got
		if ffprobe != "" && got > 0 {
			if theirs, err := probe(name); err != nil || theirs != got {
				return frames, fmt.Errorf("%s: ffprobe counts %d frames, we %d: %w", name, theirs, got, err)
			}
		}
	}
	return frames, nil
}

func readBack(name string) (frames int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := replay.Open(ctx, "replay:"+name+"?rate=max", capture.Config{})
	if err != nil {
		if st, e := os.Stat(name); e == nil && st.Size() < 4096 { // begun, and no frame came
			return 0, nil
		}
		return 0, err
	}
	defer c.Close()
	for {
		f, err := c.Next(ctx)
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		f.Release()
		frames++
	}
}

// ffprobe is where it is, "" if it is not installed or not to be used.
var ffprobe, _ = exec.LookPath("ffprobe")

func probe(name string) (int, error) {
	out, err := exec.Command(ffprobe, "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", name).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(out)), ",")))
}

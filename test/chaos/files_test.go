//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostileFiles are recordings that are meant to cost, or never to end.
func hostileFiles(t *testing.T) map[string][]byte {
	t.Helper()
	seed := func(name string) []byte {
		b, err := os.ReadFile("../../capture/replay/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	avi, mkv := seed("tiny.avi"), seed("tiny.mkv")
	chunk := func(id string, n uint32, body ...byte) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte(id), n), body...)
	}
	movi := bytes.Index(avi, []byte("LIST"))
	for !bytes.HasPrefix(avi[movi+8:], []byte("movi")) {
		movi += 4 + bytes.Index(avi[movi+4:], []byte("LIST"))
	}
	head := avi[:movi+12]
	frames := avi[movi+12:]
	with := func(before []byte) []byte { return append(append(append([]byte{}, head...), before...), frames...) }
	// An index whose entries lead to itself: idx1 as in AVI 1.0, indx as in OpenDML, whose
	// super-index names itself as its only child.
	self := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	super := append(append([]byte{4, 0, 0, 0, 1, 0, 0, 0, '0', '0', 'd', 'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, self...), 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0)
	entry := append(append([]byte("00dc"), 0x10, 0, 0, 0), append(binary.LittleEndian.AppendUint32(nil, uint32(len(avi))), 0xff, 0xff, 0, 0)...)
	files := map[string][]byte{
		"cyclic-indx.avi":        with(chunk("indx", uint32(len(super)), super...)),
		"cyclic-ix00.avi":        with(chunk("ix00", uint32(len(super)), super...)),
		"cyclic-idx1.avi":        append(append([]byte{}, avi...), chunk("idx1", 160_000, bytes.Repeat(entry, 10_000)...)...),
		"nested.avi":             with(bytes.Repeat(chunk("LIST", 0xfffffff0, []byte("rec ")...), 100_000)),
		"riffs.avi":              with(bytes.Repeat(chunk("RIFF", 0, []byte("AVIX")...), 100_000)),
		"empty-frames.avi":       with(bytes.Repeat(chunk("00dc", 0), 200_000)),
		"tiny-frames.avi":        with(bytes.Repeat(chunk("00dc", 1, 0xff, 0), 50_000)),
		"endless-chunk.avi":      with(chunk("00dc", 0xffffffff)),
		"endless-other.avi":      with(chunk("JUNK", 0xffffffff)),
		"streams.avi":            append(append([]byte{}, avi[:12]...), bytes.Repeat(append(chunk("LIST", 4, []byte("strl")...), chunk("strh", 56, make([]byte, 56)...)...), 20_000)...),
		"cut-in-the-middle.avi":  avi[:len(avi)/2],
		"cyclic-cues.mkv":        append(append([]byte{}, mkv...), bytes.Repeat([]byte{0x1c, 0x53, 0xbb, 0x6b, 0x8f, 0xbb, 0x8d, 0xb3, 0x81, 0, 0xb7, 0x88, 0xf7, 0x81, 1, 0xf1, 0x83, 0, 0, 0}, 5_000)...),
		"nested-segments.mkv":    append(append([]byte{}, mkv[:bytes.Index(mkv, []byte{0x18, 0x53, 0x80, 0x67})]...), bytes.Repeat([]byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 50_000)...),
		"clusters.mkv":           append(append([]byte{}, mkv...), bytes.Repeat([]byte{0x1f, 0x43, 0xb6, 0x75, 0xff}, 100_000)...),
		"endless-element.mkv":    append(append([]byte{}, mkv...), 0xec, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe),
		"endless-block.mkv":      append(append([]byte{}, mkv...), 0x1f, 0x43, 0xb6, 0x75, 0xff, 0xa3, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x81, 0, 0, 0x80),
		"endless-picture.mjpeg":  append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff, 0xe0, 0xff, 0xff}, 500_000)...),
		"beginnings-only.mjpeg":  bytes.Repeat([]byte{0xff, 0xd8, 0xff}, 300_000),
		"nothing-but-zero.mjpeg": make([]byte, 1<<20),
	}
	var all []byte // the whole corpus of pictures as one stream, and as an AVI
	var listed []byte
	for _, p := range hostilePictures(t) {
		if len(p) > 200_000 {
			p = p[:200_000]
		}
		all = append(all, p...)
		listed = append(append(listed, chunk("00dc", uint32(len(p)))...), p...)
		if len(p)&1 == 1 {
			listed = append(listed, 0)
		}
	}
	files["pictures.mjpeg"], files["pictures.avi"] = all, with(listed)
	return files
}

// Recordings that mean harm: an index that leads back to itself, lists in lists, lengths
// that lie, a file of 64 GB that holds nothing. Each is refused, or played as far as it is
// good, within the budget of memory and time; all of it by the real program.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	dir, a := t.TempDir(), attack(t)
	files := hostileFiles(t)
	files["good.avi"], files["good.mkv"] = nil, nil
	for name, b := range files {
		if b == nil {
			b, _ = os.ReadFile("../../capture/replay/testdata/tiny" + filepath.Ext(name))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, first := range map[string]string{"sparse.avi": "endless-chunk.avi", "sparse.mkv": "endless-block.mkv", "sparse.mjpeg": "endless-picture.mjpeg"} {
		b := files[first]
		if err := os.WriteFile(filepath.Join(dir, name), b[:min(len(b), 1<<20)], 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), 64<<30); err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	play := func(name string) (most int64) {
		began := time.Now()
		p := launch(t, nil, "", "send", "--source", "replay:"+filepath.Join(dir, name)+"?rate=max", "--format", "yuv", "--name", "file", "--warmup", "0s", "--for", "2s", a.tcp)
		for !p.ended() { // what getrusage says would include what this test has
			var n int64
			for line := range strings.Lines(readFile(fmt.Sprintf("/proc/%d/status", p.pid()))) {
				if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &n); err == nil && readLink(p.pid()) == program {
					most = max(most, n<<10)
				}
			}
			if time.Since(began) > 3*patience {
				t.Errorf("%s: it does not end within %v", name, 3*patience)
				return most
			}
			time.Sleep(2 * time.Millisecond)
		}
		if code := p.cmd.ProcessState.ExitCode(); code < 0 || code > 2 || strings.Contains(p.stderr(), "goroutine ") {
			t.Errorf("%s: it ends with %v: %s", name, p.cmd.ProcessState, p.stderr())
		}
		t.Logf("%s: %v, %.1f MB at most, %v: %s", name, time.Since(began).Round(time.Millisecond), float64(most)/1e6, p.cmd.ProcessState, lastLine(p.stderr()))
		return most
	}
	idle := play("good.avi")
	const maxFrame = 32 << 20
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for name := range files {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if most := play(name); idle == 0 || most > 2*idle+maxFrame {
				t.Errorf("%s: %d bytes idle, %d at most", name, idle, most)
			}
		})
	}
	wg.Wait()
	a.camera()
}

func readLink(pid int) string {
	s, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return s
}

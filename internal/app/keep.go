package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/frame"
	"framepipe/internal/record"
	"framepipe/mjpeg"
	"framepipe/stream"
)

// recordings reads the flags about recording. What is wrong with them is found out
// now, and not when the first camera comes.
func (r *receiving) recordings(c *cli.Command) error {
	size, err := parseSize(c.String("record-size"))
	if err != nil {
		return usagef("write it as 500M or 4G", "--record-size %q: %v", c.String("record-size"), err)
	}
	if d := c.Duration("record-time"); d < 0 || d > 0 && d < time.Second {
		return usagef("", "--record-time %v: use 1s or more", d)
	}
	r.recorder.Dir = c.String("record-dir")
	r.recorder.Options = record.Options{MaxSize: size, MaxTime: c.Duration("record-time"), Every: r.every, Software: "framepipe " + Version(), Log: r.log}
	if r.record == "" {
		return nil
	}
	if !strings.EqualFold(filepath.Ext(r.record), ".mkv") {
		return usagef("call it "+r.record+".mkv", "--record %s: recordings are Matroska files", r.record)
	}
	if st, err := os.Stat(filepath.Dir(r.record)); err != nil || !st.IsDir() {
		return usagef("make it first, or choose another", "--record %s: there is no folder %s", r.record, filepath.Dir(r.record))
	}
	return nil
}

// parseSize reads bytes with K, M, G or T behind them, in powers of 1000; "" is 0.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number, unit := strings.TrimSuffix(strings.ToUpper(s), "B"), 1.0
	if n := len(number) - 1; n > 0 {
		switch number[n] {
		case 'K':
			unit = 1e3
		case 'M':
			unit = 1e6
		case 'G':
			unit = 1e9
		case 'T':
			unit = 1e12
		}
		if unit > 1 {
			number = number[:n]
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v*unit >= 100e3 && v*unit < 1e18) {
		return 0, fmt.Errorf("not a size of 100K or more")
	}
	return int64(v * unit), nil
}

// startRecording records a camera that came: the first one to the file that was
// asked for, each further one to a file with its name in it.
func (r *receiving) startRecording(f *stream.Feed) {
	r.mu.Lock()
	path := r.record
	if r.recordedTo == nil {
		r.recordedTo = f
	}
	if r.recordedTo != f {
		ext := filepath.Ext(path)
		path = strings.TrimSuffix(path, ext) + "-" + f.Name() + ext
	}
	r.mu.Unlock()
	if _, err := r.recorder.StartAt(f, path); err != nil {
		r.log.Error("cannot record", "camera", f.Name(), "cause", err)
	}
}

// endRecording finishes a camera's recording, if there is one.
func (r *receiving) endRecording(f *stream.Feed) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.recorder.Forget(ctx, f); err != nil {
		r.log.Error("the recording is not finished", "camera", f.Name(), "cause", err)
	}
}

// endRecordings finishes all files. A disk that hangs does not keep the program.
func (r *receiving) endRecordings() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return r.recorder.StopAll(ctx)
}

// savePictures writes a camera's frames as JPEG files until ctx ends; every > 0
// keeps one each so long. A disk that is slower than the camera loses frames here,
// counted, and nowhere else.
func savePictures(ctx context.Context, f *stream.Feed, dir string, every time.Duration, log *slog.Logger) {
	v := f.Hub.Subscribe()
	defer v.Close()
	enc := mjpeg.NewEncoder()
	var buf []byte
	saved, failed, said := 0, 0, false
	var next frame.ReceiverTime
	for {
		fr, err := v.Next(ctx)
		if err != nil {
			break
		}
		if every > 0 {
			if next != 0 && fr.LastByte < next {
				fr.Release()
				continue
			}
			if next == 0 || fr.LastByte.Sub(next) > every {
				next = fr.LastByte
			}
			next += frame.ReceiverTime(every)
		}
		data := fr.Data
		if fr.Format != frame.JPEG {
			if buf, err = enc.Encode(buf[:0], fr, 95); err == nil {
				data = buf
			}
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%09d.jpg", f.Name(), fr.Seq)), data, 0o666)
		}
		fr.Release()
		if err != nil {
			if !said {
				log.Error("cannot save pictures", "camera", f.Name(), "cause", err)
			}
			said = true
			failed++
			continue
		}
		said = false
		saved++
	}
	text := fmt.Sprintf("%s: %d pictures saved in %s", f.Name(), saved, dir)
	if every == 0 {
		text += fmt.Sprintf(", %d passed over because the disk was busy", v.Dropped())
	}
	if failed > 0 {
		text += fmt.Sprintf(", %d could not be written", failed)
	}
	log.Info(text)
}

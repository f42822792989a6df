package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"framepipe/frame"
	"framepipe/mjpeg"
)

// plain adds rows of a build without kernels (-tags purego): this program once more, as
// kernels are chosen when it is compiled.
func (b *bench) plain() error {
	exe := filepath.Join(b.dir, "plain")
	if out, err := exec.Command("go", "build", "-tags", "purego", "-o", exe, "./test/benchcodec").CombinedOutput(); err != nil {
		return fmt.Errorf("go build -tags purego: %w\n%s", err, out)
	}
	for _, work := range []string{"encode yuv 640x480", "decode 640x480 to rgb at 1/1"} {
		b.add(work, "go, plain", "-tags purego", func() (time.Duration, error) {
			out, err := exec.Command(exe, "-plain", work, "-time", b.each.String()).Output()
			if err != nil {
				return 0, err
			}
			return time.ParseDuration(strings.TrimSpace(string(out)))
		})
	}
	return nil
}

// measurePlain is what that build does.
func measurePlain(work string, each time.Duration) error {
	if _, err := mjpeg.Choose("go"); err != nil {
		return err
	}
	f, err := scene(frame.I420, 640, 480)
	if err != nil {
		return err
	}
	enc, dec := mjpeg.NewEncoder(), mjpeg.NewDecoder(mjpeg.Limits{})
	jpg, err := enc.Encode(nil, f, quality)
	if err != nil {
		return err
	}
	var buf []byte
	do := func() (err error) {
		buf, err = enc.Encode(buf, f, quality)
		return err
	}
	if strings.HasPrefix(work, "decode") {
		do = func() (err error) {
			buf, _, _, err = dec.Decode(buf, jpg, frame.RGB24)
			return err
		}
	}
	d, err := (&bench{each: each}).cpu(do)()
	fmt.Println(d)
	return err
}

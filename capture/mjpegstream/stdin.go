package mjpegstream

import (
	"errors"
	"io"
	"os"

	"framepipe/capture"
)

func openStdin(name string, cfg capture.Config) (capture.Camera, error) {
	c, err := openFile(os.Stdin, name, cfg)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func openFile(f *os.File, name string, cfg capture.Config) (*camera, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, &capture.Error{Op: "read standard input", Err: err, Hint: "pipe JPEGs into it: ffmpeg ... -f mjpeg - | framepipe send --source -"}
	}
	info := capture.Info{Source: name, Name: "standard input", Driver: "pipe"}
	if st.Mode().IsRegular() {
		info.Driver = "file"
		c := newCamera(cfg, f, info)
		c.onDemand = true
		return c, nil
	}
	if st.Mode()&os.ModeCharDevice != 0 && st.Mode()&os.ModeDevice != 0 && isTerminal(f) {
		return nil, &capture.Error{Op: "read standard input", Err: errors.New("it is a terminal"), Hint: "pipe JPEGs into it: ffmpeg ... -f mjpeg - | framepipe send --source -", Config: true}
	}
	r, stop, free, err := interruptible(f)
	if err != nil {
		return nil, &capture.Error{Op: "read standard input", Err: err}
	}
	c := newCamera(cfg, r, info)
	c.wrapErr = func(err error) error {
		if err == io.EOF {
			return err
		}
		return &capture.Error{Op: "read standard input", Err: err}
	}
	c.stop, c.free = stop, free
	c.start()
	return c, nil
}

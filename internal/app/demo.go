package app

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/camera"
	"framepipe/capture"
	"framepipe/frame"
	"framepipe/internal/record"
	"framepipe/stream"
)

func demoCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "both sides in one process on a synthetic camera; prints the page's address",
		Description: "A synthetic camera is streamed over TCP on this machine to a receiver in the same process.",
		Flags: withEnv("demo", []cli.Flag{
			&cli.StringFlag{Name: "http", Value: "127.0.0.1:8080", Usage: "where the page is; another port if this one is taken"},
			&cli.StringFlag{Name: "source", Value: "pattern", Usage: "the camera"},
			&cli.IntFlag{Name: "width", Aliases: []string{"W"}, Value: 640, Usage: "picture width in pixels"},
			&cli.IntFlag{Name: "height", Aliases: []string{"H"}, Value: 480, Usage: "picture height in pixels"},
			&cli.FloatFlag{Name: "fps", Value: 30, Usage: "frames per second"},
			&cli.StringFlag{Name: "format", Value: "jpeg", Usage: "jpeg, yuv or rgb"},
			&cli.IntFlag{Name: "quality", Value: capture.DefaultQuality, Usage: "JPEG quality, 1 to 100"},
			&cli.DurationFlag{Name: "record-length", Value: 10 * time.Second, Usage: "length of a record"},
			&cli.IntFlag{Name: "records", Usage: "end after so many records; 0 = go on"},
			&cli.DurationFlag{Name: "for", Usage: "end after so long; 0 = go on"},
		}),
		Action: func(ctx context.Context, c *cli.Command) error { return demo(ctx, e, c) },
	}
}

func demo(ctx context.Context, e *env, c *cli.Command) error {
	con := newConsole(e.stderr, false)
	r := &receiving{env: e, con: con, log: con.logger(), records: c.Int("records"), experiments: "experiments"}
	r.recorder.Dir, r.recorder.Options = "recordings", record.Options{Software: "framepipe " + Version(), Log: r.log}
	format, err := frame.ParseFormat(c.String("format"))
	if err != nil {
		return &usageError{err: err}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := c.String("http")
	if !c.IsSet("http") && taken(addr) {
		addr = "127.0.0.1:0"
	}
	if d := c.Duration("for"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := new(door)
	s := newSending(camera.Config{Source: c.String("source"), Open: d.open, WaitFor: d.waitFor,
		Capture: capture.Config{Width: c.Int("width"), Height: c.Int("height"), FPS: c.Float("fps"), Quality: c.Int("quality"), Format: format}},
		stream.SenderConfig{Address: ln.Addr().String(), Name: "demo", Host: "this machine", Software: "framepipe " + Version(), Session: newSession()}, r.log)
	var wg sync.WaitGroup
	var sendErr error
	wg.Go(func() {
		sendErr = s.run(ctx)
		cancel()
	})
	r.log.Info("a synthetic camera is being streamed on this machine; Ctrl-C ends it")
	err = r.run(ctx, stream.ReceiverConfig{Software: "framepipe " + Version(), RecordLength: c.Duration("record-length"),
		Records: c.Int("records"), Log: r.log}, ln, addr, camera.Config{})
	cancel()
	wg.Wait()
	return errors.Join(sendErr, err)
}

// taken reports whether another program listens at addr.
func taken(addr string) bool {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		ln.Close()
	}
	return errors.Is(err, syscall.EADDRINUSE)
}

// Command sink shows how a program of your own receives: it accepts framepipe
// senders and prints the brightness of each frame and how old it was.
//
//	go run ./examples/sink 127.0.0.1:1308 &
//	framepipe send --source pattern 127.0.0.1:1308
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"

	"framepipe/frame"
	"framepipe/mjpeg"
	"framepipe/stream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sink HOST:PORT (where to listen)")
		os.Exit(2)
	}
	ln, err := net.Listen("tcp", os.Args[1])
	if err == nil {
		err = run(ctx, ln, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run receives until ctx ends. Each camera is looked at by a goroutine of its own;
// a slow one misses frames and slows nobody.
func run(ctx context.Context, ln net.Listener, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	recv := stream.NewReceiver(stream.ReceiverConfig{Software: "sink example", Opened: func(f *stream.Feed) {
		watching.Go(func() { watch(ctx, f, out) })
	}})
	err := recv.Run(ctx, ln)
	stop()
	watching.Wait()
	return err
}

func watch(ctx context.Context, f *stream.Feed, out io.Writer) {
	viewer := f.Hub.Subscribe()
	defer viewer.Close()
	dec := mjpeg.NewDecoder(mjpeg.Limits{})
	var grey []byte
	for {
		fr, err := viewer.Next(ctx) // the newest frame that this viewer has not seen
		if err != nil {
			return
		}
		var w, h int
		grey, w, h, err = dec.DecodeScaled(grey, fr.Data, frame.GREY, 8)
		seq, last := fr.Seq, fr.LastByte
		captured, clock := fr.Captured, f.Clock()
		fr.Release() // its memory is used again from here on
		if err != nil {
			fmt.Fprintf(out, "%s %d: %v\n", f.Name(), seq, err)
			continue
		}
		sum := 0
		for _, v := range grey {
			sum += int(v)
		}
		fmt.Fprintf(out, "%s %d: %dx%d eighths, brightness %d", f.Name(), seq, w, h, sum/max(len(grey), 1))
		if clock.Known && captured != 0 { // unknown is not zero: wire v0 has no stamps
			age := last.Sub(clock.ToReceiver(captured))
			fmt.Fprintf(out, ", %.1f ms old, within %.1f", age.Seconds()*1e3, clock.ErrorAt(captured).Seconds()*1e3)
		}
		fmt.Fprintln(out)
	}
}

//go:build linux

// Command bus measures what sharing cameras over NATS costs: the latency that it
// adds, processor time by frame at each of the three programs a frame passes, and
// how many frames a second it carries, for several numbers of cameras. Its tests
// run the real program on a cluster of three servers.
//
// Publisher, server and subscriber are processes of their own on one machine, over
// loopback, so that one clock stamps both ends. The frames are one picture of the
// synthetic camera, sent again and again: nothing is encoded meanwhile.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/internal/bus"
	"framepipe/stream"
)

func main() {
	role := flag.String("role", "", "publish or take: what a child of the measurement does")
	url := flag.String("url", "", "the bus, for children")
	cams := flag.Int("cameras", 1, "cameras, for children")
	fps := flag.Float64("fps", 30, "frames per second of each camera; 0 = as fast as it goes")
	size := flag.Int("size", 35_000, "bytes of a frame")
	lasts := flag.Duration("for", 5*time.Second, "length of each measurement")
	reps := flag.Int("reps", 3, "measurements of each kind, taking turns; the median is shown")
	flag.Parse()
	var err error
	switch *role {
	case "publish":
		err = publish(*url, *cams, *fps, *size, *lasts)
	case "take":
		err = take(*url, *lasts)
	default:
		err = measure(*size, *lasts, *reps)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// publish is a receiver with cameras of its own machine.
func publish(url string, cams int, fps float64, size int, lasts time.Duration) error {
	recv := stream.NewReceiver(stream.ReceiverConfig{MaxCameras: cams})
	var b *bus.Bus
	if url != "" {
		b = bus.New(bus.Config{URL: url, Name: "source", Receiver: recv, MaxFrame: stream.DefaultMaxFrame, Log: slog.New(slog.DiscardHandler)})
		if err := b.Connect(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lasts+3*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	data := make([]byte, size)
	sent := make([]uint64, cams)
	for i := range cams {
		cam, feed, err := recv.Local("camera" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		if b != nil {
			b.Opened(feed)
		}
		wg.Go(func() {
			sent[i] = feedFrames(ctx, cam, data, fps, time.Duration(i)*33*time.Millisecond/time.Duration(cams))
		})
	}
	if b != nil {
		if err := b.Run(ctx); err != nil {
			return err
		}
	}
	wg.Wait()
	var n uint64
	for _, v := range sent {
		n += v
	}
	return json.NewEncoder(os.Stdout).Encode(figures{Frames: n, CPU: cpu()})
}

// feedFrames delivers frames as a camera's loop would.
func feedFrames(ctx context.Context, cam *stream.Local, data []byte, fps float64, phase time.Duration) (n uint64) {
	time.Sleep(phase)
	var tick <-chan time.Time
	if fps > 0 {
		t := time.NewTicker(time.Duration(float64(time.Second) / fps))
		defer t.Stop()
		tick = t.C
	}
	for ctx.Err() == nil {
		if tick != nil {
			select {
			case <-tick:
			case <-ctx.Done():
				return n
			}
		} else {
			time.Sleep(100 * time.Microsecond) // a loop that never sleeps would measure itself
		}
		n++
		f := frame.New(data, nil)
		f.Seq, f.Format, f.Width, f.Height = n, frame.JPEG, 640, 480
		f.Captured = frame.SenderNow()
		f.Dequeued, f.Encoded = f.Captured, f.Captured
		f.Counts.Offered = n
		cam.Put(f)
	}
	return n
}

// tap collects what a subscriber's frames went through.
type tap struct {
	mu    sync.Mutex
	added []time.Duration // guarded by mu
}

func (t *tap) Frame(f *frame.Meta, _ int, _ bool, _ clocksync.Offset) {
	t.mu.Lock()
	t.added = append(t.added, time.Duration(int64(f.FirstByte)-int64(f.Captured))) // one machine, one clock
	t.mu.Unlock()
}
func (t *tap) Refused(*frame.Counts, bool) {}
func (t *tap) Counts(*frame.Counts)        {}

// take is a receiver that takes all cameras of the bus.
func take(url string, lasts time.Duration) error {
	all := new(tap)
	recv := stream.NewReceiver(stream.ReceiverConfig{MaxCameras: 1024, Opened: func(f *stream.Feed) { f.SetTap(all) }})
	b := bus.New(bus.Config{URL: url, Name: "sink", Take: []string{"*"}, Receiver: recv, MaxFrame: stream.DefaultMaxFrame, Log: slog.New(slog.DiscardHandler)})
	if err := b.Connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	time.Sleep(2 * time.Second) // everybody has found everybody
	all.mu.Lock()
	all.added = all.added[:0]
	all.mu.Unlock()
	before := cpu()
	time.Sleep(lasts)
	all.mu.Lock()
	added := slices.Sorted(slices.Values(all.added))
	all.mu.Unlock()
	r := figures{Frames: uint64(len(added)), CPU: cpu() - before, Seconds: lasts.Seconds(), Cameras: len(recv.Feeds())}
	if len(added) > 0 {
		r.P50, r.P99, r.Max = added[len(added)/2], added[len(added)*99/100], added[len(added)-1]
	}
	for _, f := range recv.Feeds() {
		l := f.Meter.Ledger()
		r.Lost += l.Lost[frame.LostBus]
		if l.Imbalance() != 0 {
			return fmt.Errorf("%s: the ledger does not balance: %+v", f.Name(), l)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// figures is what a child measured.
type figures struct {
	Frames        uint64
	CPU           time.Duration
	Seconds       float64
	Cameras       int
	Lost          uint64 // by the bus, from the first frame on
	P50, P99, Max time.Duration
}

// cpu is this process' processor time.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kind is one kind of measurement.
type kind struct {
	servers, cameras int
	fps              float64
}

type outcome struct {
	take                   figures
	publish, server, alone time.Duration // processor time by frame
}

func measure(size int, lasts time.Duration, reps int) error {
	var kinds []kind
	for _, servers := range []int{1, 3} {
		for _, cams := range []int{1, 16, 64} {
			kinds = append(kinds, kind{servers, cams, 30})
		}
	}
	kinds = append(kinds, kind{1, 1, 0}, kind{1, 16, 0}, kind{1, 64, 0})
	results := make([][]outcome, len(kinds))
	for range reps {
		for i, k := range kinds {
			o, err := once(k, size, lasts)
			if err != nil {
				return fmt.Errorf("%+v: %w", k, err)
			}
			results[i] = append(results[i], o)
		}
	}
	fmt.Printf("frames of %d bytes, %v each, medians of %d\n\n", size, lasts, reps)
	fmt.Println("| servers | cameras | fps each | frames/s taken | lost | added p50 | p99 | CPU per frame: publisher | server | subscriber |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	for i, k := range kinds {
		mid := func(of func(o outcome) float64) float64 {
			var v []float64
			for _, o := range results[i] {
				v = append(v, of(o))
			}
			slices.Sort(v)
			return v[len(v)/2]
		}
		rate := "30"
		if k.fps == 0 {
			rate = "as fast as it goes"
		}
		publisher, server := fmt.Sprintf("%.0f us", mid(func(o outcome) float64 { return us(o.publish - o.alone) })), fmt.Sprintf("%.0f us", mid(func(o outcome) float64 { return us(o.server) }))
		if k.fps == 0 { // most frames were replaced by newer ones before they were published
			publisher, server = "–", "–"
		}
		fmt.Printf("| %d | %d | %s | %.0f | %.0f | %.2f ms | %.2f ms | %s | %s | %.0f us |\n", k.servers, k.cameras, rate,
			mid(func(o outcome) float64 { return float64(o.take.Frames) / o.take.Seconds }), mid(func(o outcome) float64 { return float64(o.take.Lost) }),
			mid(func(o outcome) float64 { return us(o.take.P50) / 1e3 }), mid(func(o outcome) float64 { return us(o.take.P99) / 1e3 }),
			publisher, server, mid(func(o outcome) float64 { return us(o.take.CPU) / float64(max(o.take.Frames, 1)) }))
	}
	return nil
}

// once starts a cluster, a publisher and a subscriber, on servers of their own
// where there are several.
func once(k kind, size int, lasts time.Duration) (o outcome, err error) {
	c, err := startCluster(k.servers)
	if err != nil {
		return o, err
	}
	defer c.stop()
	time.Sleep(time.Second)
	args := []string{"-cameras", strconv.Itoa(k.cameras), "-fps", fmt.Sprint(k.fps), "-size", strconv.Itoa(size), "-for", lasts.String()}
	var pub, alone figures
	var pubErr, takeErr error
	before := c.cpu()
	var wg sync.WaitGroup
	wg.Go(func() {
		pubErr = child(&pub, append([]string{"-role", "publish", "-url", c.servers[0].url}, args...)...)
	})
	wg.Go(func() {
		takeErr = child(&o.take, append([]string{"-role", "take", "-url", c.servers[len(c.servers)-1].url}, args...)...)
	})
	wg.Wait()
	served := c.cpu() - before
	if pubErr != nil || takeErr != nil {
		return o, fmt.Errorf("publisher: %w, subscriber: %w", pubErr, takeErr)
	}
	if err := child(&alone, append([]string{"-role", "publish", "-url", ""}, args...)...); err != nil {
		return o, err
	}
	o.publish, o.alone, o.server = pub.CPU/time.Duration(pub.Frames), alone.CPU/time.Duration(alone.Frames), served/time.Duration(pub.Frames)
	if o.take.Cameras != k.cameras {
		return o, fmt.Errorf("%d cameras were taken of %d", o.take.Cameras, k.cameras)
	}
	return o, nil
}

// cpu is the servers' processor time, in steps of 10 ms (proc(5), stat).
func (c *cluster) cpu() (sum time.Duration) {
	for _, s := range c.servers {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 12 {
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			sum += time.Duration(user+system) * 10 * time.Millisecond
		}
	}
	return sum
}

// child runs this program in a role and reads what it measured.
func child(into *figures, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

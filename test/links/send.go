package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/stream"
	"framepipe/wire"
)

// job is one run of a camera and a sender.
type job struct {
	Address            string
	Policy, Congestion string
	Target             time.Duration
	Bytes              int
	Raw                bool
	FPS                float64
	Seed               uint64
	KernelRTO          bool
	Duration           time.Duration
}

// outcome is what became of a job.
type outcome struct {
	Start      frame.SenderTime // the first tick
	Made       uint64           // frames that the camera made
	Congestion string           // in force at the end, as the kernel says; "" = it does not
	Stats      stream.SenderStats
	CPU        time.Duration // of the measured part, as the caller counts it; 0 = not known
	Log        string        // what the sender said
}

// send does a job.
func send(ctx context.Context, j job, dial func(ctx context.Context, network, address string) (net.Conn, error), cpu func() (time.Duration, error)) (*outcome, error) {
	policy, err := stream.ParsePolicy(j.Policy)
	if err != nil {
		return nil, err
	}
	events := &log{}
	sender := stream.NewSender(stream.SenderConfig{
		Address: j.Address, Name: "links", Session: j.Seed + 1, Policy: policy, Congestion: j.Congestion, Target: j.Target, KernelRTO: j.KernelRTO, Dial: dial,
		State: func() wire.StateText { return wire.StateText{Format: "synthetic", FPS: j.FPS} },
		Log:   slog.New(slog.NewTextHandler(events, nil)),
	})
	source := newSource(frameCase{bytes: j.Bytes, raw: j.Raw, fps: j.FPS}, j.Seed)
	if j.Target > 0 {
		source.limit = sender.Budget
	}
	sent := make(chan error, 1)
	sendCtx, endSender := context.WithCancel(ctx)
	defer endSender()
	go func() { sent <- sender.Run(sendCtx) }()
	used := watchCPU(ctx, cpu, settle, j.Duration)
	err = source.run(ctx, sender, j.Duration)
	o := &outcome{Start: source.start, Made: source.last, Congestion: sender.Congestion(), CPU: used()}
	if err == nil { // let it hand over what it has, so that the account can be closed
		settled, cancel := context.WithTimeout(ctx, drain)
		_ = sender.Mailbox().WaitIdle(settled, false) // who is not done by then says goodbye in the middle
		cancel()
	}
	sender.End()
	end := time.AfterFunc(drain, endSender)
	defer end.Stop()
	if e := <-sent; err == nil {
		err = e
	}
	o.Stats, o.Log = sender.Stats(), events.String()
	if err != nil {
		return nil, fmt.Errorf("%w; the sender said: %s", err, o.Log)
	}
	return o, nil
}

// watchCPU measures the processor time between two moments after now. The
// function that it returns waits for the second; 0 is not known.
func watchCPU(ctx context.Context, cpu func() (time.Duration, error), from, to time.Duration) func() time.Duration {
	done := make(chan time.Duration, 1)
	begun := time.Now()
	go func() {
		var at [2]time.Duration
		for i, when := range []time.Duration{from, to} {
			var err error
			select {
			case <-time.After(when - time.Since(begun)):
				at[i], err = cpu()
			case <-ctx.Done():
				err = ctx.Err()
			}
			if err != nil {
				done <- 0
				return
			}
		}
		done <- at[1] - at[0]
	}()
	return func() time.Duration { return <-done }
}

// sendApart does a job in a process of its own on side A, whose processor time
// nobody else adds to. Both processes are on one monotonic clock.
func sendApart(ctx context.Context, j job, link *netem.Link) (*outcome, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := link.Exec(ctx, netem.A, exe, "-job", string(text))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the sender's process: %w: %s", err, said.String())
	}
	var o outcome
	return &o, json.Unmarshal(out, &o)
}

// doJob is the other side of sendApart.
func doJob(ctx context.Context, text string, out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	o, err := send(ctx, j, nil, processCPU)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(o)
}

// log keeps what is written to it by several goroutines.
type log struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

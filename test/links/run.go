package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/internal/netem"
	"framepipe/measure"
	"framepipe/stream"
	"framepipe/wire"
)

const (
	settle = time.Second     // of a run's beginning is left out: slow start is another matter
	drain  = 3 * time.Second // how long a run's end may take to hand over what is on its way
)

// once measures one cell once. The error is for runs that measured nothing that
// can be used; a run that the emulator spoiled says so in its result.
func once(ctx context.Context, c spec, seed uint64) (*result, error) {
	cfg, err := c.config(seed)
	if err != nil {
		return nil, err
	}
	link, err := netem.New(cfg)
	if err != nil {
		return nil, err
	}
	defer link.Close()
	ctx, cancel := context.WithTimeout(ctx, c.duration+30*time.Second)
	defer cancel()
	pumps, stop := context.WithCancel(context.Background())
	carried := make(chan error, 1)
	go func() { carried <- link.Run(pumps) }()
	do := overLink
	if c.viewer {
		do = overHTTP
	}
	r, err := do(ctx, c, seed, link)
	stop()
	if e := <-carried; e != nil {
		err = errors.Join(err, e)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, seed %d: %w", c.Name(), seed, err)
	}
	r.net = link.Stats()
	return r, nil
}

// overLink sends frames from side A to side B.
func overLink(ctx context.Context, c spec, seed uint64, link *netem.Link) (*result, error) {
	ln, err := link.ListenIn(netem.B, "tcp", ":0")
	if err != nil {
		return nil, err
	}
	var rows bytes.Buffer // written under the log's own lock, read after the receiver ended
	log, err := measure.NewFrameLog(&rows)
	if err != nil {
		return nil, err
	}
	recv := stream.NewReceiver(stream.ReceiverConfig{FrameLog: log})
	recvCtx, endReceiver := context.WithCancel(context.Background())
	received := make(chan struct{})
	var receiverErr error // read after received is closed
	go func() {
		defer close(received)
		receiverErr = recv.Run(recvCtx, ln)
	}()
	defer func() { endReceiver(); <-received }()

	source := newSource(c.frame, seed)
	policy, err := stream.ParsePolicy(c.variant.policy)
	if err != nil {
		return nil, err
	}
	var events strings.Builder
	var eventsMu sync.Mutex
	scfg := stream.SenderConfig{
		Address: fmt.Sprintf("%v:%d", link.B.Addr, ln.Addr().(*net.TCPAddr).Port),
		Name:    "links", Session: seed + 1, Policy: policy, Congestion: c.variant.congestion, Target: c.variant.target,
		State: func() wire.StateText { return wire.StateText{Format: "synthetic", FPS: c.frame.fps} },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return link.DialIn(ctx, netem.A, network, address)
		},
		Log: slog.New(slog.NewTextHandler(locked{&eventsMu, &events}, nil)),
	}
	sender := stream.NewSender(scfg)
	if c.variant.target > 0 {
		source.limit = sender.Budget
	}
	sent := make(chan error, 1)
	sendCtx, endSender := context.WithCancel(ctx)
	go func() { sent <- sender.Run(sendCtx) }()
	cpu := watchCPU(ctx, link, settle, c.duration)
	err = source.run(ctx, sender, c.duration)
	r := &result{spec: c, start: source.start, congestion: sender.Congestion()}
	r.cpu, r.cpuErr = cpu()
	if err == nil { // let it hand over what it has, so that the account can be closed
		settled, cancel := context.WithTimeout(ctx, drain)
		_ = sender.Mailbox().WaitIdle(settled, false) // who is not done by then says goodbye in the middle
		cancel()
	}
	sender.End()
	end := time.AfterFunc(drain, endSender)
	if e := <-sent; err == nil {
		err = e
	}
	end.Stop()
	endSender()
	endReceiver()
	<-received
	if err == nil {
		err = receiverErr
	}
	if err != nil {
		return nil, fmt.Errorf("%w; the sender said: %s", err, events.String())
	}
	r.sender = sender.Stats()
	if f := recv.Feed(""); f != nil {
		r.ledger = f.Meter.Ledger()
	}
	if err := log.Flush(); err != nil {
		return nil, err
	}
	if r.frames, err = readFrames(&rows); err != nil {
		return nil, err
	}
	if err := r.check(source); err != nil {
		return nil, fmt.Errorf("%w; the sender said: %s", err, events.String())
	}
	return r, nil
}

// check finds what must not be in any run.
func (r *result) check(s *source) error {
	counts := &r.sender.Counts
	switch {
	case len(r.frames) == 0:
		return errors.New("no frame was delivered")
	case counts.Imbalance() != 0:
		return fmt.Errorf("the sender's ledger does not balance: %+v", *counts)
	case counts.Offered != s.last:
		return fmt.Errorf("the camera made %d frames, the sender counts %d", s.last, counts.Offered)
	case r.ledger.Imbalance() != 0:
		return fmt.Errorf("the receiver's ledger does not balance: %+v", r.ledger)
	case r.ledger.Delivered != uint64(len(r.frames)):
		return fmt.Errorf("the receiver counts %d delivered frames and logged %d", r.ledger.Delivered, len(r.frames))
	case r.ledger.Offered > counts.Offered:
		return fmt.Errorf("the receiver counts %d offered frames, the sender %d", r.ledger.Offered, counts.Offered)
	case r.congestion != "" && r.congestion != r.spec.variant.congestion:
		return fmt.Errorf("congestion control %s was asked for, %s is in force", r.spec.variant.congestion, r.congestion)
	}
	for i := 1; i < len(r.frames); i++ {
		if a, b := r.frames[i-1], r.frames[i]; b.seq <= a.seq {
			return fmt.Errorf("frame %d was delivered after frame %d", b.seq, a.seq)
		}
	}
	return nil
}

// watchCPU measures this process's processor time, without the emulator's, from
// one moment to another after now. The function it returns waits for the second.
func watchCPU(ctx context.Context, link *netem.Link, from, to time.Duration) func() (time.Duration, error) {
	type answer struct {
		d   time.Duration
		err error
	}
	done := make(chan answer, 1)
	read := func() (time.Duration, error) {
		all, err := processCPU()
		if err != nil {
			return 0, err
		}
		emulator, err := link.CPU()
		return all - emulator, err
	}
	begun := frame.SenderNow()
	go func() {
		var a answer
		var at [2]time.Duration
		for i, when := range []time.Duration{from, to} {
			select {
			case <-time.After(when - frame.SenderNow().Sub(begun)):
			case <-ctx.Done():
				a.err = ctx.Err()
			}
			if a.err == nil {
				at[i], a.err = read()
			}
		}
		a.d = at[1] - at[0]
		done <- a
	}()
	return func() (time.Duration, error) { a := <-done; return a.d, a.err }
}

// locked makes a writer safe for several goroutines.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

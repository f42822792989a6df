package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"framepipe/internal/netem"
	"framepipe/measure"
	"framepipe/stream"
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
	if c.viewer != "" {
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

	j := job{
		Address: fmt.Sprintf("%v:%d", link.B.Addr, ln.Addr().(*net.TCPAddr).Port), Policy: c.variant.policy, Congestion: c.variant.congestion,
		Target: c.variant.target, KernelRTO: c.variant.kernelRTO, Bytes: c.frame.bytes, Raw: c.frame.raw, FPS: c.frame.fps, Seed: seed, Duration: c.duration,
	}
	var o *outcome
	if c.apart {
		o, err = sendApart(ctx, j, link)
	} else {
		o, err = send(ctx, j, func(ctx context.Context, network, address string) (net.Conn, error) {
			return link.DialIn(ctx, netem.A, network, address)
		}, func() (time.Duration, error) {
			all, err := processCPU()
			if err != nil {
				return 0, err
			}
			emulator, err := link.CPU()
			return all - emulator, err
		})
	}
	endReceiver()
	<-received
	if err == nil {
		err = receiverErr
	}
	if err != nil {
		return nil, err
	}
	r := &result{spec: c, outcome: *o}
	if f := recv.Feed(""); f != nil {
		r.ledger = f.Meter.Ledger()
	}
	if err := log.Flush(); err != nil {
		return nil, err
	}
	if r.frames, err = readFrames(&rows); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w; the sender said: %s", err, o.Log)
	}
	return r, nil
}

// check finds what must not be in any run.
func (r *result) check() error {
	counts := &r.Stats.Counts
	switch {
	case len(r.frames) == 0:
		return errors.New("no frame was delivered")
	case counts.Imbalance() != 0:
		return fmt.Errorf("the sender's ledger does not balance: %+v", *counts)
	case counts.Offered != r.Made:
		return fmt.Errorf("the camera made %d frames, the sender counts %d", r.Made, counts.Offered)
	case r.ledger.Imbalance() != 0:
		return fmt.Errorf("the receiver's ledger does not balance: %+v", r.ledger)
	case r.ledger.Delivered != uint64(len(r.frames)):
		return fmt.Errorf("the receiver counts %d delivered frames and logged %d", r.ledger.Delivered, len(r.frames))
	case r.ledger.Offered > counts.Offered:
		return fmt.Errorf("the receiver counts %d offered frames, the sender %d", r.ledger.Offered, counts.Offered)
	case r.Congestion != "" && r.Congestion != r.spec.variant.congestion:
		return fmt.Errorf("congestion control %s was asked for, %s is in force", r.spec.variant.congestion, r.Congestion)
	}
	for i := 1; i < len(r.frames); i++ {
		if a, b := r.frames[i-1], r.frames[i]; b.seq <= a.seq {
			return fmt.Errorf("frame %d was delivered after frame %d", b.seq, a.seq)
		}
	}
	return nil
}
